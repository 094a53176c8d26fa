"""A coroutine to a well-behaved service: signals, systemd's notify protocol, log set-up, exit code."""

import asyncio
import contextlib
import gc
import io
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TextIO, cast

import structlog

from tailrace import __version__
from tailrace.errors import TailraceError, first_of
from tailrace.settings import Log
from tailrace.show import neutral

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_OWN_KEYS = ("level", "event", "timestamp")


class Life:
    """One run of a service: ``stop`` is set when it shall end, and ``notify`` tells systemd how it is.

    The hazard: a service that never looks at ``stop`` is killed by the second signal.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self._address = os.environ.get("NOTIFY_SOCKET", "")

    def ready(self, status: str) -> None:
        """Say that start-up is over."""
        self.notify(f"READY=1\nSTATUS={status}")

    def notify(self, text: str) -> None:
        """Send a state to systemd (sd_notify(3)); nothing without ``$NOTIFY_SOCKET``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(text.encode(), address)

    async def pause(self, seconds: float) -> bool:
        """Sleep, but wake at the stop; True if it is time to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        return self.stop.is_set()


def run(service: Callable[[Life], Awaitable[object]], log: Log) -> int:
    """Run a service until it ends or a SIGTERM or SIGINT asks it to; a second signal ends it at once.

    Returns the exit code: 0, or 1 when it failed. An error that we can explain is the last line of a log that programs
    read; where people read it, it is raised for the command line to print.
    """
    set_up_log(log)
    # What is loaded by now stays; and records are tuples by the ten thousand, none of them in a cycle.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    try:
        return asyncio.run(_live(service))
    except TailraceError as error:
        if for_people(log):
            raise
        structlog.get_logger().error(str(error), **{"error.type": type(error).__name__})
        return error.exit_code


def say_start(host: str, file: str, **what: object) -> None:
    """The first line in the log of a service: what runs where, with which settings."""
    about = {"service.version": __version__, "host.name": host, "settings": file, **what}
    structlog.get_logger().info("starting", **about)


def for_people(log: Log) -> bool:
    """Whether the log on stderr is for people, in colours, and not for programs."""
    return log.format == "console" or (log.format == "auto" and sys.stderr.isatty())


def set_up_log(log: Log) -> None:
    """Send structlog's and the libraries' own lines to stderr: ECS JSON for programs, colours for a person."""
    console = for_people(log)
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[structlog.typing.Processor] = (
        [_visible, structlog.dev.ConsoleRenderer()] if console else [_ecs, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=shared[:2] + last if console else shared + last,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=logging.WARNING, force=True)
    # aiokafka reports every failed attempt at error level; we say once what it means, so its lines are for debugging.
    logging.getLogger("aiokafka").setLevel(logging.DEBUG if log.level == "debug" else logging.CRITICAL)
    logging.getLogger("elastic_transport").setLevel(logging.DEBUG if log.level == "debug" else logging.ERROR)


class _Stderr(io.TextIOBase):
    """Whatever ``sys.stderr`` is when a line is written, so that a live line at the terminal can make room for it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _ToStructlog(logging.Handler):
    """Lines of libraries that use the standard logging, in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name)


def _visible(_logger: object, _method: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Names of files and words of servers as texts that a terminal cannot obey."""
    return {key: neutral(value) if isinstance(value, str) else value for key, value in fields.items()}


def _ecs(_logger: object, _method: str, fields: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Rename structlog's own keys to ECS, as the ecs-logging specification orders them."""
    named = {"@timestamp": fields.get("timestamp"), "log.level": fields.get("level"), "message": fields.get("event")}
    rest = {"log.logger" if key == "logger" else key: value for key, value in fields.items() if key not in _OWN_KEYS}
    return {**named, "ecs.version": "8.11.0", "service.name": "tailrace", **rest}


async def _live(service: Callable[[Life], Awaitable[object]]) -> int:
    life = Life()
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        if life.stop.is_set():
            os._exit(128 + number)
        life.notify("STOPPING=1")
        life.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    watchdog = asyncio.create_task(_watchdog(life))
    unexpected: BaseException | None = None
    try:
        await service(life)
    except* TailraceError as group:
        raise first_of(group) from None
    except* Exception as group:  # noqa: BLE001 - the one place where the unexpected ends: logged, told, exit code 1
        unexpected = first_of(group)
    finally:
        watchdog.cancel()
    if unexpected is None:
        return 0
    structlog.get_logger().error(
        "failed in a way that was not expected; this is a bug", error=str(unexpected), exc_info=unexpected
    )
    return 1


async def _watchdog(life: Life) -> None:
    """Pat systemd's watchdog from the event loop, so that a hung loop is restarted (``WatchdogSec=``)."""
    microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
    while microseconds:
        life.notify("WATCHDOG=1")
        await asyncio.sleep(microseconds / 3_000_000)
