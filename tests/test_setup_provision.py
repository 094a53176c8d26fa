"""Setup against the real Kafka and the real Elasticsearch: what it makes, changes, leaves alone, and says."""

import asyncio
import functools
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from click.testing import CliRunner
from conftest import configure_topic
from refusals import refusing

from indexer.changes import Act, Change
from indexer.provision import provision
from tailrace import elastic
from tailrace.cli import cli
from tailrace.errors import ReachElasticsearch, ReachKafka
from tailrace.settings import Elasticsearch, Indexer, Kafka, Settings, Shipper
from tailrace.stack import Stack

pytestmark = pytest.mark.edge

_JSON = {"accept": "application/json", "content-type": "application/json"}


@pytest.fixture
def settings(stack: Stack, names: str) -> Settings:
    """Topics, templates and streams that no other test has; streams of a type that the product's template leaves."""
    return Settings(
        kafka=Kafka(
            bootstrap_servers=[stack.bootstrap_servers],
            ledger_topic=f"{names}.ledger",
            dead_letter_topic=f"{names}.dead",
        ),
        elasticsearch=Elasticsearch(hosts=[stack.elasticsearch_url], replicas=0),
        shipper=Shipper(topic=f"{names}.logs"),
        indexer=Indexer(topics=[f"{names}.logs"], allowed_streams=[f"synthetics-{names}-*"]),
    )


def _run(settings: Settings, names: str, *, dry_run: bool = False) -> dict[str, Change]:
    changes = asyncio.run(provision(settings, dry_run=dry_run, prefix=names))
    assert len({change.name for change in changes}) == len(changes)
    return {change.name: change for change in changes}


def _acts(changes: dict[str, Change]) -> set[Act]:
    return {change.act for change in changes.values()}


async def _topic(settings: Settings, name: str) -> tuple[int, dict[str, str]] | None:
    """A topic's partitions and the configs set on it, asked for apart from the code under test."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    try:
        if name not in await admin.list_topics():
            return None
        partitions = next(one["partitions"] for one in await admin.describe_topics() if one["topic"] == name)
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        return len(partitions), {entry[0]: entry[1] for entry in answer.resources[0][4] if entry[3] == 1}
    finally:
        await admin.close()


def _elastic(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    async def call() -> Any:
        async with elastic.client(settings.elasticsearch) as client:
            return (await client.perform_request(method, path, headers=_JSON, body=body)).body

    return asyncio.run(call())


def test_a_dry_run_shows_all_and_makes_nothing(settings: Settings, names: str) -> None:
    """Everything is to be created, twice: the first dry run left nothing behind."""
    for _ in range(2):
        changes = _run(settings, names, dry_run=True)
        assert _acts(changes) == {Act.CREATE}
    assert asyncio.run(_topic(settings, f"{names}.logs")) is None
    topics = {f"{names}.{name}" for name in ("logs", "ledger", "dead")}
    assert set(changes) == topics | {names, f"{names}@mappings", f"{names}@settings", f"{names}@custom"}


def test_a_second_run_finds_nothing_to_do(settings: Settings, names: str) -> None:
    """What was made is what was wanted, in the servers' own words."""
    assert _acts(_run(settings, names)) == {Act.CREATE}
    again = _run(settings, names)
    assert _acts(again) == {Act.KEEP}
    assert "match_only_text is not on this cluster" in again[f"{names}@mappings"].notes[0]
    found = asyncio.run(_topic(settings, f"{names}.ledger"))
    assert found is not None
    assert (found[0], found[1]["cleanup.policy"]) == (1, "compact")
    logs = asyncio.run(_topic(settings, f"{names}.logs"))
    assert logs is not None
    assert (logs[0], logs[1]["retention.ms"]) == (3, "604800000")


def test_a_topic_is_altered_without_resetting_what_others_set(settings: Settings, names: str) -> None:
    """Retention follows the settings; the compression somebody chose and the partitions stay."""
    _run(settings, names)
    logs = f"{names}.logs"
    found = asyncio.run(_topic(settings, logs))
    assert found is not None
    asyncio.run(configure_topic(settings.kafka.bootstrap_servers[0], logs, **found[1], compression_type="lz4"))
    kafka = msgspec.structs.replace(settings.kafka, retention_hours=24, partitions=5)
    changed = msgspec.structs.replace(settings, kafka=kafka)
    change = _run(changed, names)[logs]
    assert change.act is Act.CHANGE
    assert [(key.name, key.before, key.after) for key in change.keys] == [("retention.ms", "604800000", "86400000")]
    assert len(change.notes) == 2
    assert asyncio.run(_topic(settings, logs)) == (
        3,
        {**found[1], "compression.type": "lz4", "retention.ms": "86400000"},
    )
    assert _run(changed, names)[logs].act is Act.KEEP


def test_a_template_changed_by_hand_is_shown_and_mended(settings: Settings, names: str) -> None:
    """The diff names the key, before and after; what the user put into their own template stays."""
    _run(settings, names)
    theirs = {"template": {"settings": {"index.refresh_interval": "9s"}}}
    _elastic(settings, "PUT", f"/_component_template/{names}@custom", theirs)
    body = _elastic(settings, "GET", f"/_component_template/{names}@settings")
    body = body["component_templates"][0]["component_template"]
    body["template"]["settings"]["index"]["codec"] = "default"
    _elastic(settings, "PUT", f"/_component_template/{names}@settings", body)
    changes = _run(settings, names)
    assert {change.name for change in changes.values() if change.act is Act.CHANGE} == {f"{names}@settings"}
    (key,) = changes[f"{names}@settings"].keys
    assert (key.name, key.before, key.after) == ("template.settings.index.codec", "default", "best_compression")
    assert _acts(_run(settings, names)) == {Act.KEEP}
    custom = _elastic(settings, "GET", f"/_component_template/{names}@custom")["component_templates"][0]
    assert custom["component_template"]["template"]["settings"]["index"]["refresh_interval"] == "9s"


def test_new_settings_become_a_change(settings: Settings, names: str) -> None:
    """Replicas and retention of the settings file are compared with what the server has, as numbers and text."""
    _run(settings, names)
    other = msgspec.structs.replace(settings.elasticsearch, replicas=2, retention_days=0)
    changed = msgspec.structs.replace(settings, elasticsearch=other)
    keys = _run(changed, names)[f"{names}@settings"].keys
    assert [(key.name.rpartition(".")[2], key.before, key.after) for key in keys] == [
        ("data_retention", "30d", None),
        ("number_of_replicas", "0", "2"),
    ]
    assert _acts(_run(changed, names)) == {Act.KEEP}


def test_elasticsearch_away_leaves_kafka_untouched(settings: Settings, names: str) -> None:
    """All is looked at before anything is changed; one sentence with the next step."""
    away = Elasticsearch(hosts=[f"http://127.0.0.1:{_free_port()}"])
    with pytest.raises(ReachElasticsearch, match=r"does not answer .*is it running"):
        _run(msgspec.structs.replace(settings, elasticsearch=away), names)
    assert asyncio.run(_topic(settings, f"{names}.logs")) is None


def test_kafka_away_is_one_sentence(settings: Settings, names: str) -> None:
    """It names the address and what to check."""
    address = f"127.0.0.1:{_free_port()}"
    away = msgspec.structs.replace(settings.kafka, bootstrap_servers=[address])
    with pytest.raises(ReachKafka, match=rf"Kafka does not answer at {address} \(connection refused\); is it running"):
        _run(msgspec.structs.replace(settings, kafka=away), names)


def test_too_few_brokers_is_one_sentence(settings: Settings, names: str) -> None:
    """Three replicas on one broker: the key to change is named."""
    kafka = msgspec.structs.replace(settings.kafka, replication_factor=3)
    with pytest.raises(ReachKafka, match=r"too few brokers for kafka\.replication_factor"):
        _run(msgspec.structs.replace(settings, kafka=kafka), names)


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "does not accept the login"), (403, "manage_index_templates"), (500, "refused a template")],
)
def test_a_refusal_is_one_sentence(settings: Settings, names: str, status: int, said: str) -> None:
    """A small server stands for Elasticsearch with security and refuses as that does: status and an ``error`` body."""
    with refusing(status) as url:
        refused = msgspec.structs.replace(settings, elasticsearch=Elasticsearch(hosts=[url]))
        with pytest.raises(ReachElasticsearch, match=said):
            _run(refused, names)


def test_a_template_of_others_in_the_way_is_told(settings: Settings, names: str) -> None:
    """Two templates of one priority cannot share a pattern: the server's reason and the way out."""
    in_the_way = {"index_patterns": [f"synthetics-{names}-*"], "priority": 110, "data_stream": {}}
    _elastic(settings, "PUT", f"/_index_template/{names}-other", in_the_way)
    with pytest.raises(ReachElasticsearch, match=r"same priority.*narrow indexer\.allowed_streams"):
        _run(settings, names)


def test_a_failure_half_way_says_what_was_done(
    settings: Settings, names: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A template that would leave a data stream without one is refused: what came before it stays, and is told."""
    _run(settings, names)
    _elastic(settings, "POST", f"/synthetics-{names}-a/_doc", {"@timestamp": "2026-11-23T18:00:00Z"})
    file = tmp_path / "tailrace.toml"
    file.write_text(
        f"""
        [kafka]
        bootstrap_servers = {json.dumps(settings.kafka.bootstrap_servers)}
        ledger_topic = "{names}.ledger2"
        dead_letter_topic = "{names}.dead"
        [elasticsearch]
        hosts = {json.dumps(settings.elasticsearch.hosts)}
        replicas = 1
        [shipper]
        topic = "{names}.logs"
        [indexer]
        topics = ["{names}.logs"]
        allowed_streams = ["synthetics-{names}-b*"]
        """
    )
    monkeypatch.setattr("tailrace.cli.setup.provision", functools.partial(provision, prefix=names))
    told = CliRunner().invoke(cli, ["setup", "--dry-run", "-c", str(file)]).stdout
    assert f"! synthetics-{names}-* would not be covered any more" in told
    result = CliRunner().invoke(cli, ["setup", "-c", str(file)])
    assert f"+ topic {names}.ledger2" in result.stdout
    assert f"~ component template {names}@settings" in result.stdout
    assert result.stdout.endswith("\n1 created, 1 changed, which stays; then it failed.\n")
    assert isinstance(result.exception, ReachElasticsearch)
    assert f"without a template (synthetics-{names}-a); put a pattern that covers them back" in str(result.exception)
    assert CliRunner().invoke(cli, ["setup", "-c", str(file)]).stdout == ""


def test_the_command(settings: Settings, names: str, stack: Stack, tmp_path: Path) -> None:
    """``--dry-run`` exits 0 and shows a plain diff off a terminal; ``--json`` is for programs; errors are one line."""
    ours = f"""
        [kafka]
        bootstrap_servers = ["{stack.bootstrap_servers}"]
        ledger_topic = "{names}.ledger"
        dead_letter_topic = "{names}.dead"
        [elasticsearch]
        hosts = ["{stack.elasticsearch_url}"]
        [shipper]
        topic = "{names}.logs"
        [indexer]
        topics = ["{names}.logs"]
    """
    (tmp_path / "tailrace.toml").write_text(ours)
    shown = _command(tmp_path, "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"+ topic {names}.logs\n    partitions: 3\n" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert shown.stdout.endswith("Nothing was changed: this was a dry run.\n")
    told = json.loads(_command(tmp_path, "--dry-run", "--json").stdout)
    assert told["dry_run"] is True
    assert {"act": "create", "kind": "topic", "name": f"{names}.ledger"}.items() <= told["changes"][1].items()
    (tmp_path / "tailrace.toml").write_text(ours.replace(stack.bootstrap_servers, f"127.0.0.1:{_free_port()}"))
    failed = _command(tmp_path)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("Error: Kafka does not answer at")
    assert failed.stderr.count("\n") == 1


def _command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from tailrace.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "setup", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
