"""Files that are gone leave the registry of a real agent after their time."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakeTopic
from processes import Site, until

from shipper.registry_file import read
from tailrace.stack import Stack

pytestmark = pytest.mark.edge


@pytest.fixture
def site(stack: Stack, tmp_path: Path, names: str, make_topic: MakeTopic) -> Iterator[Site]:
    """A host of one's own, with short patience."""
    one = Site(tmp_path, stack, names)
    make_topic(one.topic, 3)
    make_topic(one.ledger)
    one.inputs = [{"paths": [f"{one.logs}/**/*.log*"], "dataset": one.name}]
    one.shipper["forget_seconds"] = 1.0
    one.shipper["rescan_seconds"] = 0.2
    yield one
    one.end()


def known(site: Site) -> set[str]:
    """The names of the files in the registry."""
    stored = read(Path(site.write_settings().parent / "state"))
    assert stored is not None
    return {Path(row.path).name for row in stored.rows}


def test_a_file_that_is_gone_is_forgotten_and_its_copy_is_not(site: Site) -> None:
    """Nor is one that only changed its form; when that is deleted too, it is forgotten. Nothing is shipped twice."""
    folder = site.logs / "pod"
    folder.mkdir()
    text = "".join(f"line {number:06d}\n" for number in range(300))
    for path, word in ((site.logs / "a.log", "a"), (site.logs / "b.log", "b"), (folder / "c.log", "c")):
        path.write_text(text.replace("line", word))
    site.finish("ship", "--once")
    assert known(site) == {"a.log", "b.log", "c.log"}
    packed = site.logs / "b.log.1.gz"
    packed.write_bytes(gzip.compress((site.logs / "b.log").read_bytes()))
    (site.logs / "b.log").unlink()
    (folder / "c.log").unlink()
    folder.rmdir()
    agent = site.agent()
    until(lambda: known(site) == {"a.log", "b.log.1.gz"})
    assert agent.stop() == 0
    agent = site.agent()
    assert len(site.shipped()) == 900
    packed.unlink()
    until(lambda: known(site) == {"a.log"})
    assert agent.stop() == 0
    assert len(site.shipped()) == 900
