"""A busy file, a file that cannot be read, a clock that is set: each its own trouble, and nobody else's."""

import time
from pathlib import Path

import pytest
from processes import Site, chain, until

pytestmark = pytest.mark.edge

BUSY_BYTES = 200_000_000


def test_a_busy_file_keeps_no_other_waiting(site: Site) -> None:
    """Lines of fifty slow files are sent while 200 MB of another are far from read, half of them within a second."""
    line = b"x" * 400_000 + b"\n"
    busy = site.logs / "busy.log"
    with busy.open("wb") as file:
        for _ in range(BUSY_BYTES // len(line)):
            file.write(line)
    slow = [site.logs / f"slow-{number}.log" for number in range(50)]
    for path in slow:
        path.write_text("")
    site.shipper["max_record_bytes"] = 20_000  # what is sent is small: this is about reading
    site.serve_metrics()
    agent = site.agent()
    written = time.time()
    for path in slow:
        path.write_text("a slow line\n")
    until(lambda: site.metric("tailrace_shipper_records_total") > 50, 60, 0.01)
    until(lambda: site.registered("position") >= BUSY_BYTES // len(line) * len(line) + 50 * 12, 120)
    assert agent.stop() == 0
    records = site.shipped()
    late = sorted(record.sent - written for record in records if record.message == "a slow line")
    last = max(record.sent for record in records if record.message != "a slow line") - written
    assert len(late) == 50
    assert late[25] < 1.0
    assert late[-1] < last, "the slow files waited for the end of the busy one"


CLOCK = """
import os, pathlib, time
_file, _time, _time_ns = pathlib.Path(os.environ["CLOCK"]), time.time, time.time_ns
def _shift():
    try:
        return float(_file.read_text())
    except (OSError, ValueError):
        return 0.0
time.time = lambda: _time() + _shift()
time.time_ns = lambda: _time_ns() + int(_shift() * 1e9)
"""
"""A wall clock that is set by writing to a file; the monotonic one goes on."""


def test_steps_of_the_clock_lose_and_stall_nothing(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an hour forward, then a day back, while lines are written: each is shipped within seconds, once."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    path = [str(tmp_path), str(Path(__file__).parent.parent)]
    monkeypatch.setenv("PYTHONPATH", ":".join(path))
    clock = tmp_path / "clock"
    monkeypatch.setenv("CLOCK", str(clock))
    log = site.logs / "a.log"
    log.write_text("at first\n")
    agent = site.agent()
    until(lambda: site.messages() == ["at first"])
    for number, shift in enumerate(("1800", "-86400", "0")):
        clock.write_text(shift)
        with log.open("a") as file:
            file.write(f"step {number}\n")
        until(lambda number=number: f"step {number}" in site.messages(), 10)  # type: ignore[misc]
    assert agent.stop() == 0
    records = site.shipped()
    assert len(records) == 4
    assert min(record.sent for record in records) < time.time() - 80_000, "the clock was not set"
    assert list(chain(records).values()) == [log.stat().st_size]
