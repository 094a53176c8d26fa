"""What the demo shows: rates from the numbers, a picture that fits its terminal, a proof that people can read."""

import io

import pytest
from processes import until
from rich.console import Console

from tailrace.demo import show as show_module
from tailrace.demo.latency import Percentiles
from tailrace.demo.numbers import Numbers, Row
from tailrace.demo.proof import Account
from tailrace.demo.report import conclude, next_steps, table, verdict
from tailrace.demo.screen import Screen
from tailrace.demo.show import Show

_SERVICES = ("playback", "edge-proxy", "catalogue", "recommendations", "kafka", "elasticsearch", "dpkg")


def _numbers(seconds: float, lines: int) -> Numbers:
    times = Percentiles(10, 0.12, 2.5)
    return Numbers(seconds, [Row(name, lines, lines, lines, int(seconds), times) for name in _SERVICES], latency=times)


def _account(**faults: int) -> Account:
    counts = {"repeated": 0, "missing": 0, "dead": 0, "strange": 0, "broken": 0} | faults
    remarks = ("missing: the line at byte 7",) if faults.get("missing") else ()
    return Account(
        service="playback", path="/x/p.log", source="s", bytes=99, lines=3, stored=3, remarks=remarks, **counts
    )


def _printed(what: object, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    return console.file.getvalue()


@pytest.mark.parametrize(("width", "height"), [(140, 45), (98, 40), (80, 30), (80, 24)])
def test_the_picture_fits_the_terminal(width: int, height: int) -> None:
    """Nothing wraps and nothing is cut off: a low terminal gets less of it, but always the table and the bar."""
    screen = Screen(30)
    for second in range(12):
        screen.take(_numbers(second, second * 1_234))
    lines = _printed(screen.picture(height), width).splitlines()
    assert len(lines) < height
    assert max(map(len, lines)) <= min(width, 98)
    assert any("11 of 30 s" in line for line in lines)
    assert sum(name in line for line in lines for name in _SERVICES) >= len(_SERVICES)


def test_rates_are_those_of_the_last_seconds() -> None:
    """A thousand lines a second are a thousand, however often the numbers are taken, and even after a standstill."""
    screen = Screen(30)
    screen.take(_numbers(0, 0))
    assert screen.rate("playback", "stored") == 0
    for step in range(1, 9):
        screen.take(_numbers(step / 2, step * 500))
        assert screen.rate("playback", "stored") == 1000
    screen.take(_numbers(14, 14_000))
    assert screen.rate("total", "written") == 1000 * len(_SERVICES)


def test_plain_lines_come_now_and_then() -> None:
    """Into a pipe: a line every five seconds, without control sequences; nothing at all if silent."""
    for silent, expected in ((False, 3), (True, 0)):
        console = Console(file=io.StringIO(), width=80)
        with Show(console, silent=silent).live(12) as show:
            for second in range(12):
                show(_numbers(second, second * 100))
        said = console.file.getvalue()
        assert "\x1b" not in said
        assert len(said.splitlines()) == expected


def test_a_cold_elasticsearch_is_told_as_long_as_it_lags() -> None:
    """In the picture and in the plain line, in the first seconds only; what is stored in time says nothing."""

    def screen(seconds: float, stored: int) -> Screen:
        made = Screen(60)
        for second in (seconds - 1, seconds):
            row = Row("playback", int(1000 * second), int(1000 * second), stored, 0, Percentiles(0, 0.0, 0.0))
            made.take(Numbers(second, [row]))
        return made

    cold = screen(5, 2000)
    assert "warming up" in cold.line()
    assert "warming up" in _printed(cold.picture(40))
    for warm in (screen(5, 4900), screen(40, 2000)):
        assert "warming up" not in warm.line() + _printed(warm.picture(40))


def test_a_long_step_is_heard_of_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being done now, again and again, and at the end its outcome; nothing if silent."""
    monkeypatch.setattr(show_module, "_MURMUR_SECONDS", 0.01)
    console = Console(file=io.StringIO(), width=80)
    with Show(console).step("Starting") as say:
        say("Downloading")
        until(lambda: "… Downloading (" in console.file.getvalue())
        say("Started")
    assert console.file.getvalue().splitlines()[-1] == "✓ Started"


def test_the_verdict_says_what_is_wrong() -> None:
    """An exact run is told in one sentence; otherwise the faults are counted, and the first ones named."""
    places = {"stack": "/s", "settings_file": "/s/tailrace.toml", "folder": ""}
    good = conclude("r", 1.0, [_account(), _account(dead=1)], Percentiles(0, 0.0, 0.0), **places)
    assert good.is_exact
    assert "6 of 6 lines are in Elasticsearch exactly once, 1 is in the dead letters" in _printed(verdict(good))
    bad = conclude("r", 1.0, [_account(), _account(missing=1, broken=2)], Percentiles(0, 0.0, 0.0), **places)
    assert not bad.is_exact
    said = _printed(verdict(bad))
    assert "Not exact: 1 missing, 2 broken." in said
    assert "/x/p.log: missing: the line at byte 7" in said
    assert "broken" in _printed(table(bad))
    assert not conclude("r", 1.0, [], Percentiles(0, 0.0, 0.0), **places).is_exact, "nothing shipped proves nothing"


def test_the_next_steps_can_be_typed() -> None:
    """They start the stack first where it does not run, in the folder that was named."""
    places = {"stack": "/s", "settings_file": "/a b/tailrace.toml", "folder": ""}
    outcome = conclude("r", 1.0, [_account()], Percentiles(0, 0.0, 0.0), **places)
    stopped = next_steps(outcome, ".venv/bin/tailrace", runs=False, options=" --dir /s")
    assert stopped[:2] == [".venv/bin/tailrace stack up --dir /s", "export TAILRACE_CONFIG='/a b/tailrace.toml'"]
    assert not any("stack up" in step for step in next_steps(outcome, "tailrace", runs=True, options=""))
