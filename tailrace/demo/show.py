"""The steps of a run to a terminal, to plain lines, or to nobody."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tailrace.demo.numbers import Numbers
from tailrace.demo.screen import Screen

_LINE_SECONDS = 5.0
_MURMUR_SECONDS = 10.0

Say = Callable[[str], None]
"""Called with what is being done now, or within a step with how it ended."""


class Show:
    """Where a run is shown: a live picture on a terminal, plain lines elsewhere, nothing if ``silent``."""

    def __init__(self, console: Console, *, silent: bool = False) -> None:
        self._console = console
        self._silent = silent

    @contextlib.contextmanager
    def step(self, doing: str) -> Iterator[Say]:
        """Show that something is being done; what the caller says inside is shown in its place, the last for good.

        Off a terminal what takes long gets a line every ten seconds, so that nobody thinks it hangs.
        """
        last = doing
        ended = threading.Event()

        def murmur() -> None:
            began = time.monotonic()
            while not ended.wait(_MURMUR_SECONDS):
                self.print(f"… {last} ({time.monotonic() - began:.0f} s)")

        murmuring = threading.Thread(target=murmur, daemon=True)

        def say(text: str) -> None:
            nonlocal last
            last = text
            if status is not None:
                status.update(text)

        status = self._console.status(doing) if self._console.is_terminal and not self._silent else None
        if not self._console.is_terminal and not self._silent:
            murmuring.start()
        try:
            with status or contextlib.nullcontext():
                yield say
        finally:
            ended.set()
            if murmuring.ident is not None:
                murmuring.join()
        self.print(Text.assemble(("✓ ", "green"), last))

    @contextlib.contextmanager
    def live(self, seconds: float) -> Iterator[Callable[[Numbers], None]]:
        """Show numbers as they come."""
        screen = Screen(seconds)
        if self._silent:
            yield screen.take
            return
        if not self._console.is_terminal:
            due = 0.0

            def line(numbers: Numbers) -> None:
                nonlocal due
                screen.take(numbers)
                if numbers.seconds >= due:
                    self.print(screen.line())
                    due += _LINE_SECONDS

            yield line
            return
        with Live(console=self._console, auto_refresh=False, transient=False) as live:

            def picture(numbers: Numbers) -> None:
                screen.take(numbers)
                live.update(screen.picture(self._console.height), refresh=True)

            yield picture

    def print(self, what: RenderableType = "") -> None:
        """Print something for people."""
        if not self._silent:
            self._console.print(what, soft_wrap=not isinstance(what, Table), highlight=False)
