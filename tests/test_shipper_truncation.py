"""What a file shows that was truncated and written anew between two looks: a new source, from its first byte on."""

import os
from pathlib import Path

import pytest
from processes import in_loop
from test_shipper_room import BANNER, Log, settled, watching


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BANNER + b"first\n", BANNER + b"other\n" + BANNER),
        (BANNER + b"first\n" + BANNER, BANNER + b"first\nother\n"),
        (BANNER + b"no end of a line", BANNER),
        (b"run 1\n" + BANNER, b"run 2\n" + BANNER + b"more\n"),
    ],
    ids=["as long with other text", "shorter", "as far as it was read", "with another beginning"],
)
@in_loop
async def test_a_file_that_was_written_anew_is_shipped_anew(tmp_path: Path, before: bytes, after: bytes) -> None:
    """However much of it is as it was, and though it is as large again when somebody looks."""
    path = tmp_path / "app.log"
    path.write_bytes(before)
    agent = await watching(tmp_path, partial_line_seconds=60)
    wanted = before.decode().rpartition("\n")[0].split("\n")
    assert agent.messages == wanted
    path.write_bytes(after)
    wanted += after.decode().splitlines()
    await agent.until(lambda: len(agent.topic) >= len(wanted))
    await settled(agent)
    assert agent.messages == wanted
    assert len(agent.sources) == 2


@in_loop
async def test_a_file_with_room_that_was_written_anew_is_shipped_anew(tmp_path: Path) -> None:
    """It is as large as it was, but its text is not."""
    log = Log(tmp_path / "app.log", 65_536, BANNER + b"first\n")
    agent = await watching(tmp_path)
    os.truncate(log.path, 0)
    Log(log.path, 65_542, BANNER)
    await agent.until(lambda: len(agent.sources) == 2)
    await settled(agent)
    assert len(agent.messages) == 41
