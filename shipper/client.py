"""Settings to a Kafka producer that can be ended at once, whatever the brokers do."""

import asyncio
import math
import sys
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.codec import zstd_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder

_AGAIN_SECONDS = 0.2

# aiokafka has no setting for zstd's level. On documents of log lines its default, 3, takes half as long again as 1, for
# a larger result. (Its builder is compiled where it can be, so its module is not the one that it is imported from.)
vars(sys.modules[DefaultRecordBatchBuilder.__module__])["zstd_encode"] = partial(zstd_encode, level=1)


class Client(AIOKafkaProducer):  # type: ignore[misc]
    """An idempotent aiokafka producer, acks=all, whose batches wait for their partition's leader however long it takes.

    The hazard that ``abandon`` removes: aiokafka's own ``stop`` waits for brokers that are away, and when it is
    cancelled the task that sends lives on. It would then deliver an abandoned batch after its repetition, and without
    the flag that tells of one.
    """

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - as aiokafka takes them
        super().__init__(acks="all", enable_idempotence=True, compression_type="zstd", linger_ms=0, **arguments)
        # A batch of a partition without a leader would expire, and with it the producer of all other partitions.
        self._message_accumulator._batch_ttl = math.inf  # noqa: SLF001
        self._requests: set[asyncio.Task[Any]] = set()
        self._send_request = self._sender._send_produce_req  # noqa: SLF001
        self._sender._send_produce_req = self._tracked  # noqa: SLF001

    def partitions_now(self, topic: str) -> set[int]:
        """The partitions of a topic as the brokers last told them; none if they know no such topic."""
        return set(self.client.cluster.partitions_for_topic(topic) or ())

    async def abandon(self) -> None:
        """End every task and connection now; what is not acknowledged may or may not arrive."""
        self._closed = True
        while tasks := self._living():
            for task in tasks:
                task.cancel()
            # Once is not always enough: a task that just got the answer it waited for may miss that it was cancelled.
            done, _ = await asyncio.wait(tasks, timeout=_AGAIN_SECONDS)
            await asyncio.gather(*done, return_exceptions=True)
        for connection in self.client._conns.values():  # noqa: SLF001
            if connection._writer is not None:  # noqa: SLF001
                connection._writer.transport.abort()  # noqa: SLF001 - close() would wait for a full socket to empty
            connection.close()

    def _living(self) -> list[asyncio.Task[Any]]:
        tasks = (self._sender.sender_task, self.client._sync_task, *self._requests)  # noqa: SLF001
        return [task for task in tasks if task is not None and not task.done()]

    async def _tracked(self, node: int, batches: object) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)
        await self._send_request(node, batches)
