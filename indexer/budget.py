"""Data streams that run out of fields to a metric and a warning."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import structlog
from elastic_transport import TransportError
from elasticsearch import ApiError

from tailrace import elastic, metrics
from tailrace.drift.findings import NEAR
from tailrace.drift.look import Budget, budgets
from tailrace.errors import TailraceError
from tailrace.settings import Settings

_LOOK_SECONDS = 3600.0
_ASK_SECONDS = 2.0
_MOST_NAMED = 5
_NONSENSE = (LookupError, TypeError, AttributeError, ValueError)
"""What comes of looking into an answer that is not of Elasticsearch's form: a proxy's, perhaps."""


async def watch(settings: Settings, leads: Callable[[], bool]) -> None:
    """Look once an hour until cancelled, while ``leads`` says that we are the one of the group who does."""
    looked: float | None = None
    while True:
        if not leads():
            looked = None
            metrics.FIELDS_SHARE.set(0)
        elif looked is None or time.monotonic() - looked >= _LOOK_SECONDS:
            looked = time.monotonic()
            # Elasticsearch away, or not open to such questions: the writer says the first, and an hour more is soon
            # enough for this.
            with contextlib.suppress(ApiError, TransportError, TailraceError, *_NONSENSE):
                await look(settings)
        await asyncio.sleep(_ASK_SECONDS)


async def look(settings: Settings) -> None:
    """Set the metric, and warn of the streams that are near their limit, the nearest first.

    Raises:
        ApiError, TransportError: Elasticsearch does not say.
        FixSettings: a secret cannot be read any more.
    """
    async with elastic.client(settings.elasticsearch, connections=1) as client:
        found = await budgets(client, settings.indexer.allowed_streams)
    metrics.FIELDS_SHARE.set(max((one.share for one in found), default=0.0))
    near = sorted((one for one in found if one.share >= NEAR), key=lambda one: -one.share)
    if near:
        _warn(near)


def _warn(near: Sequence[Budget]) -> None:
    structlog.get_logger().warning(
        "data streams run out of fields, and new ones will not be indexed: see `tailrace drift`",
        streams=[f"{one.stream} ({one.fields} of {one.limit})" for one in near[:_MOST_NAMED]],
        near=len(near),
    )
