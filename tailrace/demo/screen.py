"""Numbers to what people look at while the demo runs: a picture on a terminal, a line now and then elsewhere."""

from collections import deque

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tailrace.demo.latency import Percentiles
from tailrace.demo.numbers import Numbers, Row

_BARS = " ▁▂▃▄▅▆▇█"
_HISTORY = 16
_RATE_SECONDS = 3.0
_EVENTS = 4
_SUBTITLE = "[dim]every line, exactly once · Ctrl-C stops everything[/]"
_WIDTH = 98
_WARM_SECONDS = 15.0
_WARMING = "Elasticsearch is still warming up: its rate is low in the first seconds"
_CARRIERS = {"shipped": "shipper", "stored": "indexer"}
_WRITTEN, _SHIPPED, _STORED = "bright_white", "bright_yellow", "bright_green"
_COLOURS = {
    "playback": "bright_magenta",
    "edge-proxy": "bright_cyan",
    "catalogue": "bright_blue",
    "recommendations": "orange1",
}


class Screen:
    """Remembers the last numbers, from which rates and curves come; ``seconds`` is how long the fleet will write."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._past: deque[Numbers] = deque(maxlen=_HISTORY * 4)
        self._events: deque[tuple[float, str, str]] = deque(maxlen=_EVENTS)
        self._rates: dict[str, deque[float]] = {
            name: deque([0.0] * _HISTORY, _HISTORY) for name in ("written", "shipped", "stored")
        }

    def take(self, numbers: Numbers) -> None:
        """Remember these numbers, and what happened since the last."""
        before = {row.name: row for row in self._past[-1].rows} if self._past else {}
        for row in numbers.rows:
            if row.name in before and row.rotations > before[row.name].rotations:
                said = f"{row.name}.log → {row.name}.log.1 (rotation {row.rotations})"
                self._events.append((numbers.seconds, row.name, said))
        self._past.append(numbers)
        for name, rates in self._rates.items():
            rates.append(self.rate("total", name))

    def rate(self, row: str, column: str) -> float:
        """Lines a second of a service, or of ``total``, over the last seconds."""
        now = self._past[-1]
        recent = [one for one in self._past if now.seconds - one.seconds <= _RATE_SECONDS]
        before = recent[0] if len(recent) > 1 else self._past[max(0, len(self._past) - 2)]
        if now.seconds <= before.seconds:
            return 0.0
        return (_value(now, row, column) - _value(before, row, column)) / (now.seconds - before.seconds)

    @property
    def warming(self) -> bool:
        """Whether, soon after the start, more than a second's worth of what is shipped waits to be stored."""
        now = self._past[-1]
        waiting = now.total.shipped - now.total.stored
        return now.seconds < _WARM_SECONDS and waiting > max(1.0, self.rate("total", "shipped"))

    def line(self) -> str:
        """The last numbers as one plain line."""
        now = self._past[-1]
        total = now.total
        times = f", p50 {_milliseconds(now.latency.p50)} p99 {_milliseconds(now.latency.p99)}" * bool(now.latency.lines)
        return (
            f"{now.seconds:5.1f} s  written {total.written:,}  shipped {total.shipped:,}  stored {total.stored:,}"
            f"  ({self.rate('total', 'stored'):,.0f} lines/s{times})" + f"  {_WARMING}" * self.warming
        )

    def picture(self, height: int) -> RenderableType:
        """The last numbers as a picture; a low terminal gets less of it."""
        now = self._past[-1]
        parts: list[RenderableType] = [self._table(now), Text(), self._bar(now)]
        if height >= len(now.rows) + 16:
            parts = [self._flow(now), Text(), *parts]
        if height >= len(now.rows) + 24:
            parts = [*parts[:-1], *self._happened(), parts[-1]]
        return Panel(
            Group(*parts),
            title="[bold]tailrace demo[/]",
            subtitle=f"[yellow]{_WARMING}[/]" if self.warming else _SUBTITLE,
            border_style="cyan",
            padding=(1, 2) if height >= len(now.rows) + 18 else (0, 1),
            width=_WIDTH,
        )

    def _flow(self, now: Numbers) -> RenderableType:
        total = now.total
        stages = (
            ("log files", "written", total.written, _WRITTEN, f"{total.rotations} rotations"),
            ("Kafka", "shipped", total.shipped, _SHIPPED, f"{max(0, total.written - total.shipped):,} behind"),
            (
                "Elasticsearch",
                "stored",
                total.stored,
                _STORED,
                f"{max(0, total.shipped - total.stored):,} behind",
            ),
        )
        flow = Table.grid(expand=True)
        boxes: list[RenderableType] = []
        for title, column, count, colour, note in stages:
            if boxes:
                flow.add_column(justify="center", width=9)
                boxes.append(Text(f"\n\n{_CARRIERS[column]}\n━━━━━━━▶", style=colour))
            text = Text(justify="center")
            text.append(f"{count:,}", style=f"bold {colour}").append(f" {column}\n")
            text.append(curve(self._rates[column]), style=colour)
            text.append(f"\n{self.rate('total', column):,.0f} lines/s\n").append(note, style="dim")
            flow.add_column(ratio=1)
            boxes.append(Panel(text, title=f"[bold]{title}[/]", border_style="dim"))
        flow.add_row(*boxes)
        return flow

    def _table(self, now: Numbers) -> RenderableType:
        table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
        table.add_column("service")
        for title in ("written", "shipped", "stored", "behind", "lines/s", "p50", "p99"):
            table.add_column(title, justify="right")
        for row in now.rows:
            dot = Text("● ", style=_COLOURS.get(row.name, "grey62")).append(row.name, style="default")
            table.add_row(dot, *self._cells(row, row.latency))
        table.add_section()
        table.add_row(Text("  all"), *self._cells(now.total, now.latency), style="bold")
        return table

    def _cells(self, row: Row, times: Percentiles) -> list[Text]:
        behind = max(0, row.written - row.stored)
        return [
            Text(f"{row.written:,}"),
            Text(f"{row.shipped:,}"),
            Text(f"{row.stored:,}"),
            Text(f"{behind:,}", style="dim" if behind == 0 else "default"),
            Text(f"{self.rate(row.name, 'stored'):,.0f}"),
            _spent(times.p50 if times.lines else None),
            _spent(times.p99 if times.lines else None),
        ]

    def _happened(self) -> list[RenderableType]:
        lines: list[RenderableType] = [
            Text.assemble((f"{seconds:6.1f} s  ", "dim"), ("● ", _COLOURS.get(name, "default")), (said, "dim"))
            for seconds, name, said in self._events
        ]
        return [*lines, *[Text()] * (_EVENTS + 1 - len(lines))]

    def _bar(self, now: Numbers) -> RenderableType:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=1)
        table.add_column(justify="right", no_wrap=True)
        done = min(now.seconds, self._seconds)
        bar = ProgressBar(total=self._seconds, completed=done, complete_style="cyan", finished_style="green")
        table.add_row(bar, f"{done:.0f} of {self._seconds:g} s")
        return table


def curve(values: deque[float]) -> str:
    """Numbers as a row of little bars, the largest full."""
    most = max(*values, 1.0)
    return "".join(_BARS[round(max(0.0, value) / most * (len(_BARS) - 1))] for value in values)


def _value(numbers: Numbers, row: str, column: str) -> int:
    found = numbers.total if row == "total" else next((one for one in numbers.rows if one.name == row), Row(row))
    return int(getattr(found, column))


def _spent(seconds: float | None) -> Text:
    if seconds is None:
        return Text("-", style="dim")
    return Text(_milliseconds(seconds), style="bright_green" if seconds < 1 else "yellow")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
