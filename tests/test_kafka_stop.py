"""Kafka's client as we need it: a consumer ends, whatever it was doing."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from conftest import MakeTopic

from tailrace import kafka
from tailrace.stack import Stack


@pytest.mark.edge
def test_a_consumer_whose_fetches_wait_to_be_tried_again_is_stopped_whole(stack: Stack, make_topic: MakeTopic) -> None:
    """As when its broker is away: nobody is told that they were cancelled, no fetch and no connection is left."""
    topic = make_topic("stopped")

    async def stop() -> tuple[list[bool], bool]:
        consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap_servers, group_id=None)
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(2)]
        await asyncio.sleep(0)  # they are on their way
        consumer._fetcher._pending_tasks.update(waiting)
        await kafka.stop(consumer)
        return [one.cancelled() for one in waiting], bool(consumer._client._conns)

    assert asyncio.run(stop()) == ([True, True], False)


@pytest.mark.edge
def test_whoever_is_cancelled_while_it_stops_is_told(stack: Stack, make_topic: MakeTopic) -> None:
    """Else a stop with a deadline would have none."""
    topic = make_topic("cancelled")

    async def stop() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap_servers, group_id=None)
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        stopping = asyncio.create_task(kafka.stop(consumer))
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        await kafka.stop(consumer)

    asyncio.run(stop())
