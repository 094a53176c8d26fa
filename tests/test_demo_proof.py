"""The demo's proof finds every kind of fault: a line that is missing, repeated, changed, dead, or out of its chain."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from tailrace.audit.chain import Kept
from tailrace.demo.proof import examine, total
from tailrace.record import record_id

_TEXT = b"first\nsecond\r\n\n  \nthird\n"


def _kept(content: bytes) -> list[Kept]:
    """The records an ideal shipper makes of a file of whole lines."""
    records, offset, skipped = [], 0, 0
    for line in content.split(b"\n")[:-1]:
        size = len(line) + 1
        if line.strip(b"\0\t\r\n\x0b\x0c "):
            records.append(Kept(record_id("s", offset, zlib.crc32(line)), offset, size, skipped))
            skipped = 0
        else:
            skipped += size
        offset += size
    return records


def _examine(content: bytes, kept: list[Kept], dead: list[Kept] | None = None):  # noqa: ANN202 - an Account
    return examine(content, kept, dead or [], service="playback", path="/p.log", source="s")


def test_all_stored_once_is_exact() -> None:
    """Three lines, two of them blank ones apart: three documents, nothing to complain of."""
    account = _examine(_TEXT, _kept(_TEXT))
    assert account.is_exact
    assert (account.lines, account.stored, account.bytes) == (3, 3, len(_TEXT))
    assert account.remarks == ()


def test_one_missing_line_is_named() -> None:
    """The line and the hole in the chain are both told, by their offsets."""
    first, _, third = _kept(_TEXT)
    account = _examine(_TEXT, [first, third])
    assert (account.missing, account.stored, account.broken) == (1, 2, 1)
    assert account.remarks[0] == "missing: the line at byte 6"
    assert not account.is_exact


def test_the_last_line_missing_is_found() -> None:
    """No later record is needed to see it."""
    account = _examine(_TEXT, _kept(_TEXT)[:-1])
    assert (account.missing, account.broken) == (1, 0)
    assert not account.is_exact


def test_the_same_id_twice_is_repeated() -> None:
    """As after a rollover, when two backing indices have the same id."""
    records = _kept(_TEXT)
    account = _examine(_TEXT, [*records, records[1]])
    assert (account.repeated, account.stored, account.missing, account.broken) == (1, 3, 0, 0)
    assert not account.is_exact


def test_other_content_under_the_right_offset_is_strange() -> None:
    """The checksum is compared, so a line that was changed on its way counts as missing and as strange."""
    first, second, third = _kept(_TEXT)
    other = Kept(record_id("s", second.offset, zlib.crc32(b"forged")), second.offset, second.bytes, 0)
    account = _examine(_TEXT, [first, other, third])
    assert (account.missing, account.strange, account.stored) == (1, 1, 2)


def test_a_dead_line_is_not_missing() -> None:
    """A dead letter accounts for its line and holds the chain together."""
    first, second, third = _kept(_TEXT)
    account = _examine(_TEXT, [first, third], [second])
    assert (account.dead, account.missing, account.stored, account.broken) == (1, 0, 2, 0)
    assert account.is_exact


def test_a_chain_that_skips_too_much_is_broken() -> None:
    """Bytes that no record covers and none says it skipped are told, whatever the counts say."""
    first, second, third = _kept(_TEXT)
    account = _examine(_TEXT, [first, second, Kept(third.record_id, third.offset, third.bytes, 0)])
    assert (account.missing, account.broken) == (0, 1)
    assert not account.is_exact


def test_a_file_nobody_shipped_is_all_missing() -> None:
    """Without a source nothing can be stored."""
    account = examine(_TEXT, [], [], service="playback", path="/p.log", source="")
    assert account.missing == account.lines == 3


@given(st.binary(max_size=200).map(lambda content: content.replace(b"\xff", b"\n") + b"\n"), st.data())
def test_any_one_fault_is_found(content: bytes, data: st.DataObject) -> None:
    """Whatever the lines are, leaving out or doubling any one record is seen, and nothing else is."""
    records = _kept(content)
    assert _examine(content, records).is_exact
    if not records:
        return
    at = data.draw(st.integers(0, len(records) - 1))
    left_out = _examine(content, records[:at] + records[at + 1 :])
    assert (left_out.missing, left_out.repeated, left_out.strange) == (1, 0, 0)
    doubled = _examine(content, [*records, records[at]])
    assert (doubled.missing, doubled.repeated, doubled.strange) == (0, 1, 0)


def test_a_record_of_several_lines_accounts_for_each() -> None:
    """All that it covers is stored; a line that another document has too is repeated; a wrong length is no record."""
    whole = Kept(record_id("s", 0, zlib.crc32(_TEXT[:-1])), 0, len(_TEXT), 0)
    account = _examine(_TEXT, [whole])
    assert (account.is_exact, account.lines, account.stored) == (True, 3, 3)
    account = _examine(_TEXT, [whole, _kept(_TEXT)[2]])
    assert (account.stored, account.repeated) == (3, 1)
    short = Kept(whole.record_id, 0, 13, 0)
    account = _examine(_TEXT, [short])
    assert (account.stored, account.strange, account.missing) == (0, 1, 3)


def test_totals_add_up() -> None:
    """The last line of the proof is the sum of the others."""
    accounts = [_examine(_TEXT, _kept(_TEXT)), _examine(_TEXT, _kept(_TEXT)[1:])]
    sums = total(accounts)
    assert (sums.files, sums.lines, sums.stored, sums.missing) == (2, 6, 5, 1)
