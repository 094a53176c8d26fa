"""Three real brokers, two of which must have a record: one dies, then the controller, and the lines go on."""

from collections import Counter
from pathlib import Path

import pytest
from conftest import LONG
from processes import Site, chain, until
from test_crash import Load
from three_brokers import NODES, three_brokers

from tailrace.stack import Stack

pytestmark = [pytest.mark.crash, pytest.mark.edge, pytest.mark.timeout(900), LONG]

_SLOW = 180


def test_a_broker_dies_and_then_the_controller_and_each_line_is_stored_once(
    stack: Stack, tmp_path: Path, names: str
) -> None:
    """Under load, by kill -9: while one is away lines are stored all the time, and none is lost or stored twice."""
    with three_brokers(tmp_path / "kafka", stack.elasticsearch_url) as brokers:
        site = Site(tmp_path, brokers, names)
        site.kafka["bootstrap_servers"] = brokers.servers
        site.indexer |= {"session_seconds": 6.0}
        site.finish("setup", seconds=_SLOW)
        load = Load(site, 400)
        try:
            until(lambda: load.has_stored(500), _SLOW, 0.5)
            until(brokers.are_in_sync, _SLOW, 0.5)
            killed = []
            for is_controller in (False, True):
                node = next(one for one in NODES if (one == brokers.controller) is is_controller)
                brokers.kill(node)
                killed.append(node)
                goal = load.written + 1000
                until(lambda: load.has_stored(goal), _SLOW, 0.5)  # noqa: B023 - called at once
                brokers.start(node)
                until(brokers.are_in_sync, _SLOW, 0.5)
            load.finish()
            until(lambda: load.has_stored(load.written), _SLOW, 0.5)
            assert load.agent.stop() == 0
            assert load.indexer.stop() == 0
            assert site.stored() == load.written
            records = site.shipped(_SLOW)
            assert len({record.record_id for record in records}) == load.written
            assert sum(chain(records).values()) == (site.logs / "load.log").stat().st_size
            assert len(Counter(killed)) == 2
            site.finish("audit", seconds=_SLOW)
        finally:
            load.finish()
            site.end()
