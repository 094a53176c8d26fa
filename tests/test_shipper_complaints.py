"""What is said of files, truncations, and patterns without files: what needs nobody is no warning."""

import msgspec
from structlog.testing import capture_logs

from shipper.complaints import Complaints
from shipper.identity import Place
from shipper.outcome import NO_FILE
from shipper.plan import Found, Snapshot
from shipper.records import Encoder
from shipper.source import Source, fresh_row
from tailrace.settings import Input

PLACE = Place(1, 1)
ROW = fresh_row("a" * 20, "/a.log", PLACE)


def levels(complaints: Complaints, *empty: list[str]) -> list[tuple[str, str]]:
    """Path and level of what is said of so many looks, each by the patterns that match nothing."""
    with capture_logs() as said:
        for patterns in empty:
            complaints.report(Snapshot({}, {}, patterns))
    return [(line["path"], line["log_level"]) for line in said]


def test_a_pattern_that_never_matched_is_a_warning_and_one_that_did_is_none() -> None:
    """The first may be a mistake in the settings; of the other the file was rotated away, which is nobody's fault."""
    complaints = Complaints()
    assert levels(complaints, ["/never"], ["/never", "/once"]) == [("/never", "warning"), ("/once", "info")]
    assert complaints.reasons == {"/never": NO_FILE, "/once": NO_FILE}


def test_a_file_that_has_gone_is_a_warning_only_if_it_was_not_read_to_its_end() -> None:
    """What cannot be opened for any other reason is one always: it may grow."""
    for position, reason, level in (
        (100, "No such file or directory", "info"),
        (99, "No such file or directory", "warning"),
        (100, "Permission denied", "warning"),
        (None, "No such file or directory", "warning"),
    ):
        known = None if position is None else msgspec.structs.replace(ROW, position=position)
        with capture_logs() as said:
            Complaints().unopened(Found(PLACE, "/a.log", 100, 0, 0), reason, known)
        assert [(line["log_level"], line["reason"]) for line in said] == [(level, reason)]


def test_a_truncation_is_a_warning_only_if_something_was_unread() -> None:
    """A service that begins its log anew after we read it takes nothing."""
    entry = Input(paths=["/a.log"], dataset="a")
    source = Source(ROW, Encoder(entry, ROW.source, ROW.path, {}, 900_000, 1_000_000), b"")
    with capture_logs() as said:
        Complaints().truncated(source, 0)
        Complaints().truncated(source, 7)
    assert [(line["log_level"], line["unread_bytes"]) for line in said] == [("info", 0), ("warning", 7)]
