"""The lanes of several topics, and when a step of records for several of them is done."""

import asyncio

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from prometheus_client import REGISTRY

from shipper.lanes import Filling, Lane, Sending
from shipper.producer import Producer
from shipper.road import Road
from shipper.routed import Routed
from tailrace.filter_settings import Filter
from tailrace.settings import Input, Settings, Shipper
from tailrace.topics import written

OWN, OTHER = "own", "other"
NAMES = [f"{number:020d}" for number in range(50)]


def test_a_source_has_a_lane_in_each_topic_by_its_name() -> None:
    """As every Kafka client would choose, though the topics have different numbers of partitions."""
    road = Road({OWN: 3, OTHER: 5})
    assert [road.count(topic) for topic in (OWN, OTHER, "unknown")] == [3, 5, 0]
    for name in NAMES:
        number = murmur2(name.encode()) & 0x7FFFFFFF
        lanes = road.lanes_of(name, OWN, (OTHER,))
        assert [road.places[lane] for lane in lanes] == [(OWN, number % 3), (OTHER, number % 5)]
        assert road.lanes_of(name, OWN, ()) == (number % 3,)


def test_before_there_are_lanes_there_is_one_without_room() -> None:
    """Files wait until Kafka was reached."""
    producer = Producer(Settings())
    assert (producer.lane_of(NAMES[0]), producer.room(0), producer.full_lane(NAMES[0], (OTHER,))) == (0, False, 0)


def test_a_step_is_done_when_the_lanes_of_all_its_topics_are() -> None:
    """In whatever order they acknowledge; one that gave no record is done at once."""
    for order in ((OWN, OTHER), (OTHER, OWN)):
        producer = _producer()
        done: list[int] = []
        producer.hand_in(NAMES[0], (OTHER,), _records(10), Sending(lambda: done.append(1)))  # noqa: B023 - called here
        assert producer.in_flight_bytes == 10 * len(b"{}")
        for topic in order:
            assert not done
            lane, fillings = _closed(producer, topic)
            assert [one.builder.record_count() for one in fillings] == [5]
            for one in fillings:
                lane.acknowledged(one)
        assert done == [1]
        producer.hand_in(NAMES[0], (OTHER,), [], Sending(lambda: done.append(2)))  # noqa: B023 - as above
        assert done == [1, 2]


def test_a_step_is_not_done_while_any_batch_is_on_its_way() -> None:
    """A small limit makes many batches of it, in both topics."""
    producer = _producer()
    producer._most_batch_bytes = 256
    done: list[int] = []
    producer.hand_in(NAMES[0], (OTHER,), _records(40), Sending(lambda: done.append(1)))
    batches = [(lane, one) for topic in (OTHER, OWN) for lane, some in [_closed(producer, topic)] for one in some]
    assert len(batches) > 4
    for lane, one in batches:
        assert not done
        lane.acknowledged(one)
    assert done == [1]


def test_a_topic_without_room_holds_up_only_files_that_are_routed_there() -> None:
    """A quarter of the budget is the most that a partition may hold."""
    producer = _producer(budget_bytes=80)
    producer.hand_in(NAMES[0], (OTHER,), [Routed.to(OTHER, b"h", b"x" * 30)], Sending(lambda: None))
    own, other = producer.lanes_of(NAMES[0], (OTHER,))
    assert producer.full_lane(NAMES[0], (OTHER,)) == other
    assert producer.full_lane(NAMES[0], ()) is None
    assert producer.room(own)


def test_records_are_counted_by_topic_when_their_batch_is_acknowledged() -> None:
    """With the bytes of their documents; what failed, or was sent by a producer that has ended, is not."""
    producer = _producer()
    producer.hand_in(NAMES[0], (OTHER,), [*_records(9), (b"h", b'{"a":1}')], Sending(lambda: None))
    before = {topic: _counted(topic) for topic in (OWN, OTHER)}

    async def answer(topic: str, generation: int, error: KafkaError | None) -> None:
        lane, (filling,) = _closed(producer, topic)
        told = asyncio.get_running_loop().create_future()
        told.set_exception(error) if error else told.set_result(None)
        producer._answered(generation, topic, lane, filling, told)

    asyncio.run(answer(OTHER, -1, None))
    asyncio.run(answer(OTHER, 0, KafkaError()))
    assert {topic: _counted(topic) for topic in (OWN, OTHER)} == before
    asyncio.run(answer(OTHER, 0, None))
    asyncio.run(answer(OWN, 0, None))
    grown = {topic: [now - then for now, then in zip(_counted(topic), before[topic], strict=True)] for topic in before}
    assert grown == {OTHER: [5, 5 * len(b"{}")], OWN: [5, 4 * len(b"{}") + len(b'{"a":1}')]}


def test_the_topics_that_are_written_are_our_own_and_those_of_routes() -> None:
    """Each once, our own first."""
    routes = [{"route": {"topic": topic}} for topic in ("b", "a", "tailrace.logs", "b")]
    inputs = [Input(paths=["/x"], dataset="x", filters=_filters(routes)), Input(paths=["/y"], dataset="y")]
    assert written(Settings(shipper=Shipper(inputs=inputs))) == ["tailrace.logs", "b", "a"]


def _producer(budget_bytes: int = 5_242_880) -> Producer:
    producer = Producer(Settings(shipper=Shipper(topic=OWN, budget_bytes=budget_bytes)))
    producer._road = Road({OWN: 2, OTHER: 3})
    return producer


def _records(count: int) -> list[tuple[bytes, bytes]]:
    """Every other one for the other topic."""
    return [(b"h", b"{}") if number % 2 else Routed.to(OTHER, b"h", b"{}") for number in range(count)]


def _closed(producer: Producer, topic: str) -> tuple[Lane, list[Filling]]:
    """The lane of our source in a topic, and its batches."""
    lane = producer._road.lanes[producer._road.lane_of(NAMES[0], topic)]
    lane.close()
    return lane, [*lane.waiting]


def _counted(topic: str) -> list[float]:
    """Records and bytes that the metrics have of a topic."""
    names = ("tailrace_shipper_topic_records_total", "tailrace_shipper_topic_bytes_total")
    return [REGISTRY.get_sample_value(name, {"topic": topic}) or 0.0 for name in names]


def _filters(rules: list[dict[str, dict[str, str]]]) -> list[Filter]:
    return [msgspec.convert(rule, Filter) for rule in rules]
