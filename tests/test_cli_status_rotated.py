"""What status says of files that were rotated while no agent ran is what the next one ships."""

from pathlib import Path

import pytest
from processes import Site
from test_cli_status import asked
from test_shipper_rotation import PACKERS, Log

pytestmark = pytest.mark.edge


def shipped_bytes(site: Site) -> int:
    """Of all lines in the topic."""
    return sum(len(record.message) + 1 for record in site.shipped())


def promised(site: Site, expect: int = 0) -> int:
    """What status says is behind; then it is shipped, which ends with ``expect``, and that must be as much."""
    said = asked(site, expect=1)
    before = shipped_bytes(site)
    site.finish("ship", "--once", expect=expect)
    assert shipped_bytes(site) - before == said["behind_bytes"], said["files"]
    assert asked(site)["behind_bytes"] == 0
    return int(said["behind_bytes"])


@pytest.mark.parametrize("create", [True, False])
def test_what_was_appended_before_a_rename_is_behind(site: Site, create: bool) -> None:
    """Though no pattern matches the file's new name, with or without a new file at the old one."""
    log = Log(site)
    log.write(100)
    site.finish("ship", "--once")
    log.write(50)
    log.chain(1)
    if not create:
        log.path.unlink()
    assert promised(site, expect=not create) == 50 * 12  # a pattern that matches nothing is said
    log.check()


@pytest.mark.parametrize("suffix", PACKERS)
def test_the_unread_rest_of_a_compressed_file_is_behind(site: Site, suffix: str) -> None:
    """In bytes of what was compressed; one that was read to its end is not."""
    log = Log(site)
    log.write(300)
    site.finish("ship", "--once")
    log.write(40)
    log.chain(1)
    pack(log.sibling(".1"), suffix)
    log.write(7)
    assert promised(site) == 47 * 12
    log.chain(2)
    pack(log.sibling(".1"), suffix)
    assert asked(site)["behind_bytes"] == 0
    log.check()


def test_a_truncated_file_and_its_copy_are_behind_by_what_is_new(site: Site) -> None:
    """The rest that only the copy has, and all that was written since; also when it has grown past the old position."""
    log = Log(site)
    log.write(200)
    site.finish("ship", "--once")
    log.copytruncate(".1", between=20)
    log.write(500)
    assert promised(site) == 520 * 12
    log.check()


def test_copies_that_match_a_pattern_and_hold_nothing_new_are_no_new_files(site: Site) -> None:
    """They wait for nothing: the source that was read is there now."""
    site.inputs = [{"paths": [f"{site.logs}/*.log*"], "dataset": site.name}]
    log = Log(site)
    log.write(300)
    site.finish("ship", "--once")
    log.chain(1)
    pack(log.sibling(".1"), ".gz")
    log.path.unlink()
    said = asked(site)
    assert (said["behind_bytes"], [one["state"] for one in said["files"]]) == (0, ["idle"])


def pack(path: Path, suffix: str) -> None:
    """Compress a file, and delete it."""
    path.with_name(path.name + suffix).write_bytes(PACKERS[suffix](path.read_bytes()))
    path.unlink()
