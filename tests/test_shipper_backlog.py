"""What waits to be sent: in which order it is read, and how much of it is held."""

import os
import time

import pytest
from conftest import MakeTopic
from processes import Site, chain

from shipper.lanes import Sending
from shipper.producer import Producer
from shipper.road import Road
from tailrace.settings import Settings, Shipper


def test_all_partitions_together_hold_no_more_than_the_budget() -> None:
    """One of them may hold a quarter; then its files wait, and at the whole those of all partitions."""
    producer = Producer(Settings(shipper=Shipper(budget_bytes=4000)))
    producer._road = Road({producer._shipper.topic: 8})
    names = {producer.lane_of(name): name for name in map(str, range(100))}
    for lane in range(4):
        assert producer.room(7)
        producer.hand_in(names[lane], (), [(b"h", b"v" * 1000)], Sending(lambda: None))
        assert not producer.room(lane)
    assert producer.in_flight_bytes == 4000
    assert not any(producer.room(lane) for lane in range(8))


@pytest.mark.edge
def test_what_was_there_before_the_first_start_is_read_oldest_first(site: Site, make_topic: MakeTopic) -> None:
    """By the times of the files, whatever their names are."""
    site.topic = make_topic(f"{site.name}.one")
    now = time.time()
    names = ["c", "a", "e", "b", "d"]
    for age, name in enumerate(names):
        path = site.logs / f"{name}.log"
        path.write_text(f"of {name}\n" * 100)
        os.utime(path, (now - 100 + age,) * 2)
    site.finish("ship", "--once")
    records = site.shipped()
    assert list(dict.fromkeys(record.message for record in records)) == [f"of {name}" for name in names]
    assert len(chain(records)) == len(names)
