"""Blocking calls to their answers, on a thread that the end of the process does not wait for."""

import asyncio
import concurrent.futures
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 5.0
"""A call that takes longer is worth a word; after a stop nobody waits longer for it."""

_Result = TypeVar("_Result")


_own = threading.local()


def goes_on() -> None:
    """Called in the midst of a long call, for example of decompressing: it does not hang."""
    clerk = getattr(_own, "clerk", None)
    if isinstance(clerk, Clerk):
        clerk.began = time.monotonic()


class Clerk:
    """One daemon thread that carries out calls in their order.

    A call that hangs (a dead disk) holds up the later ones for ever, and nothing else: not the event loop, and not the
    end of the process. ``began`` is when the call it is at began, or last said that it goes on (monotonic seconds),
    None while it is at none.
    """

    def __init__(self, name: str) -> None:
        self.began: float | None = None
        self._calls: queue.SimpleQueue[tuple[concurrent.futures.Future[object], Callable[[], object]] | None] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def begin(self, call: Callable[[], _Result]) -> "concurrent.futures.Future[_Result]":
        """Have it carried out; the answer comes in the future."""
        future: concurrent.futures.Future[_Result] = concurrent.futures.Future()
        self._calls.put((future, call))  # type: ignore[arg-type]
        return future

    def end(self) -> None:
        """The thread ends after the calls it has."""
        self._calls.put(None)

    def _work(self) -> None:
        _own.clerk = self
        while (one := self._calls.get()) is not None:
            future, call = one
            if not future.set_running_or_notify_cancel():
                continue
            self.began = time.monotonic()
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the result
                future.set_exception(error)
            self.began = None
            # A call and its answer may hold buffers; the next may be an hour away.
            del one, future, call


async def answer_of(
    future: "concurrent.futures.Future[_Result]", stop: asyncio.Event, slow: Callable[[], None]
) -> _Result:
    """Wait for a call, as long as it takes, but after the stop for ``PATIENCE_SECONDS`` at most.

    ``slow`` is called once when it takes longer than that.

    Raises:
        TimeoutError: it did not answer until then.
    """
    answer = asyncio.wrap_future(future)
    done, _ = await asyncio.wait((answer,), timeout=PATIENCE_SECONDS)
    if not done:
        slow()
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait((answer, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        await asyncio.wait((answer,), timeout=PATIENCE_SECONDS)
    if not answer.done():
        raise TimeoutError
    return await answer
