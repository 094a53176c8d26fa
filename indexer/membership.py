"""What the group's coordinator answers to whether our partitions are surely still ours."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    NoError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from aiokafka.structs import OffsetAndMetadata

from indexer.heartbeat import FENCED, StaticHeartbeat
from tailrace.errors import FixSettings

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that goes on while the machine sleeps, where there is one."""
_ALIVE = (NoError.errno, RebalanceInProgressError.errno)
_STRANGER = (UnknownMemberIdError.errno, IllegalGenerationError.errno, FENCED)


class Membership:
    """Listens to what the client and the coordinator say to each other, and stops what must not be said.

    The coordinator gives our partitions to others when it has not heard of us for a session. It has heard of us at the
    earliest when we sent what it answered; so for a session from then nobody else has them. After that we are not
    ``sure``: we may have been frozen, and must send nothing before it has answered again. What is left is the moment
    between looking and sending.
    """

    def __init__(self, group: str, session_seconds: float, member: str) -> None:
        self._group = group
        self._session = session_seconds
        self.member = member
        self._until = 0.0
        self._coordinator: Any = None
        self._send: Any = None
        self._changed = asyncio.Event()
        self._displaced = asyncio.Event()
        self._told = False

    def listen(self, consumer: AIOKafkaConsumer) -> None:
        """Begin to listen; to be called once the client has started and before it subscribes."""
        self._coordinator = consumer._coordinator  # noqa: SLF001 - the client tells nobody of its heartbeats
        self._send = self._coordinator._send_req  # noqa: SLF001
        self._coordinator._send_req = self._talk  # noqa: SLF001

    @property
    def sure(self) -> bool:
        """Whether nobody else can have our partitions now."""
        return _now() < self._until

    @property
    def generation(self) -> int:
        """The number of the assignment that we have; negative without one."""
        return int(self._coordinator.generation)

    async def change(self) -> None:
        """Wait until there is reason to look again whether we are sure, or whether our partitions are leaving."""
        if not self._told:
            self._told = True
            structlog.get_logger().warning("the group's coordinator is silent; nothing is stored until it answers")
        await self._changed.wait()

    def wake(self) -> None:
        """Let all who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit offsets and their metadata for the assignment that we have.

        The client's own ``commit`` refuses to as soon as it has seen a new topic that matches a pattern, before we
        could say how far we got with those that we have.

        Raises:
            CommitFailedError: the group has begun anew, or does not know us.
            KafkaError: Kafka did not take it.
        """
        await self._coordinator.commit_offsets(None, {one: OffsetAndMetadata(*said) for one, said in offsets.items()})

    async def watch(self) -> None:
        """Wait until another indexer comes in our name.

        Raises:
            FixSettings: one did, so the group knows us no more.
        """
        await self._displaced.wait()
        raise FixSettings(
            f"Another indexer of group {self._group} has joined as {self.member}, and has our partitions; give each "
            "its own indexer.member, or none."
        )

    async def _talk(self, request: Any) -> Any:  # noqa: ANN401 - aiokafka is untyped
        """Send a request to the coordinator in the client's name.

        Raises:
            KafkaError: it does not answer, or the request must not be sent.
        """
        # An answer that says "begin anew" makes the client forget who it is. A commit of nobody is taken while a
        # group has no members, so what others have done meanwhile would be set back by ours.
        is_commit = isinstance(request, OffsetCommitRequest)
        if self._displaced.is_set() or (is_commit and request._consumer_group_generation_id < 0):  # noqa: SLF001
            raise IllegalGenerationError(self._group)
        asked = _now()
        answer = await self._send(request)
        codes = _codes(answer)
        if any(code in _STRANGER for code in codes):
            self._until = 0.0
            if self.member and await self._is_displaced():
                self._displaced.set()
                raise IllegalGenerationError(self._group)
        elif isinstance(request, HeartbeatRequest | SyncGroupRequest) and codes[0] in _ALIVE:
            self._until = max(self._until, asked + self._session)
            self._told = False
            self.wake()
        return answer

    async def _is_displaced(self) -> bool:
        """Whether the coordinator knows our name as another's; the client would take it back, and so on for ever."""
        coordinator = self._coordinator
        if coordinator.generation < 0 or not coordinator.member_id:
            return False
        beat = StaticHeartbeat(self._group, coordinator.generation, coordinator.member_id, self.member)
        try:
            answer = await self._send(beat)
        except (KafkaError, NotImplementedError):  # a broker older than 2.3 does not know of names
            return False
        return bool(answer.error_code == FENCED)


def _now() -> float:
    return time.clock_gettime(_CLOCK)


def _codes(answer: Any) -> list[int]:  # noqa: ANN401 - aiokafka is untyped
    if hasattr(answer, "error_code"):
        return [answer.error_code]
    return [one[-1] for _topic, partitions in getattr(answer, "topics", ()) for one in partitions]
