"""Drift on the real Elasticsearch: what is there, what the next index will be, and whether that came true."""

import asyncio
import itertools
import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from click.testing import CliRunner
from processes import Site, until
from test_foreign_edge import Others
from test_indexer_edge import Sent

from indexer import budget
from indexer.plan_templates import templates
from indexer.provision_elastic import shipped
from tailrace import metrics, settings
from tailrace.cli import cli
from tailrace.drift.mapping import fields
from tailrace.settings import Settings
from tailrace.stack import Stack

pytestmark = [pytest.mark.edge, pytest.mark.usefixtures("templates")]


class Drifting(Site):
    """A data stream with a small template of its own."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._seconds = itertools.count()

    def template(self, limit: int = 100, **properties: Any) -> None:
        """What the next index is made by."""
        found = {
            "index_patterns": [f"{self.stream}*"],
            "priority": 900,
            "data_stream": {},
            "template": {
                "settings": {
                    "number_of_replicas": 0,
                    "index.mapping.ignore_malformed": True,
                    "index.mapping.total_fields.limit": limit,
                    "index.mapping.total_fields.ignore_dynamic_beyond_limit": True,
                },
                "mappings": {
                    "dynamic_templates": [
                        {"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 9}}}
                    ],
                    "properties": {
                        "labels": {"type": "object", "subobjects": False},
                        "numeric_labels": {"type": "object", "subobjects": False},
                        **{name: {"type": one} for name, one in properties.items()},
                    },
                },
            },
        }
        self.elastic(f"/_index_template/{self.name}", found, "PUT")

    def store(self, *documents: dict[str, Any]) -> None:
        """Store documents, each a second later, visible at once."""
        for one in documents:
            document = {"@timestamp": f"2026-11-23T18:00:{next(self._seconds):02d}Z", **one}
            self.elastic(f"/{self.stream}/_doc?refresh=true", document, "POST")

    def drift(self, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code, and the findings by field."""
        arguments = ["drift", "-c", str(self.write_settings()), "--stream", self.stream, "--json", *options]
        result = CliRunner().invoke(cli, arguments)
        (told,) = json.loads(result.output)["streams"]
        return result.exit_code, {one["field"]: one for one in told["findings"]}

    def makes(self, name: str, body: dict[str, Any]) -> bool:
        """Whether Elasticsearch makes such an index; for no other reason than the limit of fields it may not."""
        try:
            self.elastic(name, body, "PUT")
        except urllib.error.HTTPError as error:
            if b"Limit of total fields" in error.read():
                return False
            raise
        self.elastic(name, method="DELETE")
        return True

    def type_of(self, field: str) -> dict[str, str]:
        """A field's type by the number of the index."""
        found = self.elastic(f"/{self.stream}/_mapping/field/{field}")
        leaf = field.rpartition(".")[2]
        return {
            name[-1]: one["mappings"][field]["mapping"][leaf]["type"]
            for name, one in found.items()
            if field in one["mappings"]
        }


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Drifting]:
    """Its stream is not there yet."""
    one = Drifting(tmp_path, stack, names)
    yield one
    one.end()


def test_what_is_foretold_comes_true(site: Drifting) -> None:
    """A field that changes, one that is mixed, and one that the template changes: after the rollover they differ."""
    site.template(code="keyword")
    site.store({"took": 3, "who": "ann", "code": "A", "same": 1})
    assert site.drift() == (0, {})
    site.template(code="long")
    site.store(*[{"took": "quick", "who": "bob", "code": "7", "same": 2}] * 2, {"who": 7, "same": 3, "took": "slow"})
    code, found = site.drift("--sample", "3")
    assert code == 1
    whats = {name: one["what"] for name, one in found.items()}
    assert whats == {"took": "malformed", "who": "mixed", "code": "changes"}
    site.elastic(f"/{site.stream}/_rollover", method="POST")
    site.store({"took": "quick", "who": 8, "code": 7})
    assert site.type_of("took") == {"1": "long", "2": "keyword"}
    assert site.type_of("who") == {"1": "keyword", "2": "long"}
    code, found = site.drift("--sample", "0")
    assert code == 1
    assert {name: one["what"] for name, one in found.items()} == dict.fromkeys(("took", "who", "code"), "differs")
    assert {kind: [name[-1] for name in names] for kind, names in found["took"]["types"].items()} == {
        "long": ["1"],
        "keyword": ["2"],
    }


def test_a_field_that_the_newest_index_lacks_is_foretold(site: Drifting) -> None:
    """Somebody gave it a type by hand, which a rollover forgets: said before the next document makes them differ."""
    site.template()
    site.store({"same": 1})
    index = next(iter(site.elastic(f"/{site.stream}/_mapping")))
    site.elastic(f"/{index}/_mapping", {"properties": {"address": {"type": "ip"}}}, "PUT")
    site.store({"address": "10.0.0.1"}, {"same": 2})
    assert [one["what"] for one in site.drift()[1].values()] == ["changes"]
    site.elastic(f"/{site.stream}/_rollover", method="POST")
    for sample in ("10", "0"):
        code, found = site.drift("--sample", sample)
        assert (code, {name: one["what"] for name, one in found.items()}) == (1, {"address": "changes"})
        assert found["address"]["types"] == {"ip": [index]}
    site.store({"address": "10.0.0.2"})
    assert site.type_of("address") == {"1": "ip", "2": "keyword"}
    assert [one["what"] for one in site.drift()[1].values()] == ["differs"]


def test_what_is_not_indexed_is_told_by_its_cause(site: Drifting) -> None:
    """Malformed, too long, beyond the limit; and a label that is both."""
    site.template(n="long", limit=8)
    site.store({"n": "x", "long": "0123456789", "labels": {"a": "b"}}, {"numeric_labels": {"a": 1}})
    site.store({"one": 1, "two": 2, "three": 3})
    code, found = site.drift()
    assert code == 1
    whats = {name: one["what"] for name, one in found.items()}
    assert whats["n"] == "malformed"
    assert whats["long"] == "long"
    assert whats["labels.a"] == "split"
    assert whats[""] == "full"
    assert found[""]["seen"] == {"two": 1, "three": 1}
    assert found["n"]["text"] == "no long in 1 of the newest index's documents"


def test_we_count_fields_as_elasticsearch_does(site: Drifting) -> None:
    """Every template of ours, and one with all that counts: exactly at the limit there is room, one less is refused."""
    odd = {
        "properties": {
            "a": {"type": "text", "fields": {"raw": {"type": "keyword"}, "x": {"type": "text"}}},
            "b": {"properties": {"c": {"properties": {"d": {"type": "long"}}}}},
            "e": {"type": "nested", "properties": {"f": {"type": "long"}}},
            "g": {"type": "alias", "path": "a"},
            "labels": {"type": "object", "subobjects": False, "properties": {"x.y": {"type": "keyword"}}},
        },
        "runtime": {"r": {"type": "keyword"}},
    }
    mappings = [odd]
    for one in templates(shipped(), Settings(), {"match_only_text"}, "x"):
        mappings += [one.body["template"]["mappings"]] if "mappings" in one.body["template"] else []
    for number, mapping in enumerate(mappings):
        counted = fields(mapping).count
        for limit, fits in ((counted, True), (counted - 1, False)):
            body = {
                "settings": {"index.mapping.total_fields.limit": limit, "number_of_replicas": 0},
                "mappings": mapping,
            }
            assert site.makes(f"/{site.name}-{number}-{limit}", body) is fits


def test_a_person_reads_what_to_do(site: Drifting) -> None:
    """Each finding with its mark, the next step once, the sum at the end."""
    site.template()
    site.store({"took": 3}, {"took": 1.5, "\x1b[31mred": 1}, {"\x1b[31mred": True})
    result = CliRunner().invoke(cli, ["drift", "-c", str(site.write_settings()), "--stream", site.stream])
    assert result.exit_code == 1
    assert f"{site.stream}  1 index, " in result.output
    assert "✗ mixed  took: " in result.output
    assert "map it in tailrace@custom" in result.output
    assert result.output.endswith("of 1 data stream\n")
    assert "\x1b" not in result.output


def test_half_a_character_in_a_name_is_told_to_programs(site: Drifting) -> None:
    """Elasticsearch takes what no UTF-8 can say."""
    site.template()
    site.store({"half \ud800": 1}, {"half \ud800": True})
    code, found = site.drift()
    assert (code, found["half \ud800"]["what"]) == (1, "mixed")


def test_a_closed_index_hides_no_other(site: Drifting) -> None:
    """Its types are known all the same; documents are read of those that are open."""
    site.template(code="keyword")
    site.store({"code": "A"})
    (old,) = site.elastic(f"/{site.stream}/_settings")
    site.template(code="long")
    site.elastic(f"/{site.stream}/_rollover", method="POST")
    site.store({"code": 1})
    site.elastic(f"/{old}/_close", method="POST")
    code, found = site.drift()
    assert (code, found["code"]["what"]) == (1, "differs")


def test_no_stream_is_not_taken_for_good(site: Drifting) -> None:
    """A monitor notices a name that is mistyped: exit code 1, and the next step."""
    command = ["drift", "-c", str(site.write_settings()), "--stream", site.stream]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 1
    assert f"✗ No data stream matches {site.stream}; without --stream" in result.stdout
    result = CliRunner().invoke(cli, [*command, "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"conflicts": 0, "streams": []}


def test_a_stream_that_is_not_there_yet_hides_no_other(site: Drifting) -> None:
    """Several are named; one of them has had no document so far."""
    site.store({"n": 1})
    command = ["drift", "-c", str(site.write_settings()), "--json", "--stream", "logs-nothing.yet-default"]
    result = CliRunner().invoke(cli, [*command, "--stream", site.stream])
    assert [one["stream"] for one in json.loads(result.stdout)["streams"]] == [site.stream]


def test_the_sum_counts_the_lines(site: Drifting) -> None:
    """A field of which two things are said counts twice, as it is seen."""
    site.template(code="keyword")
    site.store({"code": "A"})
    site.template(code="long")
    site.elastic(f"/{site.stream}/_rollover", method="POST")
    site.template(code="keyword")
    result = CliRunner().invoke(cli, ["drift", "-c", str(site.write_settings()), "--stream", site.stream])
    assert result.stdout.count("  ✗ ") == 2
    assert "✗ 2 conflicts now" in result.stdout


def test_an_indexer_warns_of_a_stream_that_runs_out_of_fields(site: Drifting) -> None:
    """In a metric and, from four fifths on, in its log."""
    site.template(limit=10)
    site.store({"a": 1})
    loaded = settings.load(site.write_settings())
    mine = msgspec.structs.replace(
        loaded, indexer=msgspec.structs.replace(loaded.indexer, allowed_streams=[site.stream])
    )
    with structlog.testing.capture_logs() as said:
        asyncio.run(budget.look(mine))
        assert said == []
        assert metrics.FIELDS_SHARE._value.get() == pytest.approx(0.4)
        site.store(dict.fromkeys("bcde", 1))
        asyncio.run(budget.look(mine))
    assert metrics.FIELDS_SHARE._value.get() == pytest.approx(0.8)
    (line,) = said
    assert line["streams"] == [f"{site.stream} (8 of 10)"]


def test_a_running_indexer_looks_by_itself(tmp_path: Path, stack: Stack, names: str) -> None:
    """The one of the group that has the first partition does, at its start."""
    one = Others(tmp_path, stack, names)
    try:
        one.prepare()
        one.to(one.stream)
        one.send([Sent(b'{"a":1}', [])])
        one.index_once()
        one.serve_metrics()
        process = one.run("index")
        until(lambda: b"reading partitions" in process.log.read_bytes())
        until(lambda: 0 < one.metric("tailrace_indexer_fields_share", "indexer_listen") < 0.5)
    finally:
        one.end()
