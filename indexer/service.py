"""The wiring of the indexer: Kafka in, Elasticsearch out."""

import asyncio
import time
from collections.abc import Callable

import structlog

from indexer import budget, expiry
from indexer.blockade import Blockade
from indexer.consumer import Consumer
from indexer.group import Group
from indexer.letterbox import Letterbox
from indexer.membership import Membership
from indexer.pace import Pace
from indexer.sender import Sender
from indexer.slices import Waiting
from indexer.transport import Transport
from indexer.writer import Writer
from tailrace import metrics
from tailrace.daemon import Life
from tailrace.errors import MendTopic, RunAgain
from tailrace.settings import Settings
from tailrace.words import several

_SESSIONS = 2.0
"""So many sessions of the group another indexer may hold us up, for after one its partitions are given to others."""
_LOOK_SECONDS = 0.1
"""How often ``--once`` looks whether all is done."""
_LOW = 0.5
"""A full buffer is filled up again once so much is left of it: many records at a time cost less than a few often."""


async def index(
    settings: Settings, life: Life, *, once: bool, tell: Callable[[int], None] = lambda _left: None
) -> bool:
    """Store the records of our partitions until the stop; with ``once``, until those are stored that are there now.

    Returns whether all of those are; meanwhile ``tell`` is told how many are left.

    Raises:
        TailraceError: it cannot begin; with ``once`` also if Kafka or Elasticsearch stay away for long, or Kafka holds
            what cannot be read.
    """
    if not once:  # it may run beside the service, which has the port
        metrics.serve(settings.metrics.indexer_listen, "indexer")
    group = Group(settings)
    transport = Transport(settings.elasticsearch, connections=settings.indexer.in_flight + 2)
    letterbox = Letterbox(settings.kafka)
    blockade = Blockade(settings.elasticsearch.request_timeout_seconds if once else None)
    # A run with --once comes and goes, perhaps beside the service of this host: it must not take its name.
    member = "" if once else settings.indexer.member
    membership = Membership(settings.indexer.group, settings.indexer.session_seconds, member)
    pace = Pace(settings.indexer.slice_bytes, settings.indexer.in_flight, settings.indexer.slow_seconds)
    try:
        if not await group.start(life, once=once):
            return False
        writer = Writer(transport, letterbox, blockade, membership, pace)
        return await _run(settings, life, group, membership, writer, pace, once=once, tell=tell)
    finally:
        await letterbox.close()
        await transport.close()
        await group.close()


async def _run(
    settings: Settings,
    life: Life,
    group: Group,
    membership: Membership,
    writer: Writer,
    pace: Pace,
    *,
    once: bool,
    tell: Callable[[int], None],
) -> bool:
    waiting = Waiting(settings.indexer.slice_bytes, settings.indexer.slice_actions)
    consumer = Consumer(settings, group, membership, waiting)
    sender = Sender(settings.indexer, waiting, writer, pace, consumer.commits.nudge)
    complete = False
    try:
        async with asyncio.TaskGroup() as tasks:
            await consumer.start(sender, tasks)
            background = [tasks.create_task(sender.run()), tasks.create_task(consumer.commits.run())]
            background.append(tasks.create_task(membership.watch()))
            if not once:
                background.append(tasks.create_task(expiry.watch(settings.kafka, consumer.leads)))
                background.append(tasks.create_task(budget.watch(settings, consumer.leads)))
            life.ready("indexing")
            polling = tasks.create_task(_poll(consumer, waiting, settings.indexer.buffer_bytes))
            if once:
                indexer = settings.indexer
                patience = settings.elasticsearch.request_timeout_seconds + _SESSIONS * indexer.session_seconds
                complete = await _until_reached(consumer, group, life, patience, tell)
            else:
                await life.stop.wait()
            polling.cancel()
            await consumer.leave()
            for task in background:
                task.cancel()
    finally:
        await consumer.stop()
    if consumer.complaint:
        raise MendTopic(consumer.complaint)
    if not once:  # else what it came to is told in other words
        structlog.get_logger().info("stopped")
    return complete


async def _poll(consumer: Consumer, waiting: Waiting, buffer_bytes: int) -> None:
    metrics.WAITING_BYTES.set_function(lambda: waiting.bytes)
    room = asyncio.Event()
    waiting.tell(int(buffer_bytes * _LOW), room.set)
    while True:
        if waiting.bytes < buffer_bytes:
            await consumer.poll()
        else:
            room.clear()
            await room.wait()


async def _until_reached(
    consumer: Consumer, group: Group, life: Life, patience: float, tell: Callable[[int], None]
) -> bool:
    ends = await consumer.ends()
    last, since = sum(ends.values()), time.monotonic()
    while (left := await consumer.left(ends)) != 0:
        if left is not None:
            tell(left)
        if left is not None and left != last:  # it is more once ours are done, and those of others are counted
            last, since = left, time.monotonic()
        elif time.monotonic() - since > patience:
            raise RunAgain(
                f"For {patience:.0f} s none of {several(last, 'record')} was finished, here or by others of the "
                "group: their logs say why, and so may `tailrace check --connect`. Nothing is lost; run it again later."
            )
        if await life.pause(_LOOK_SECONDS):
            return False
        await group.insist()
    return True
