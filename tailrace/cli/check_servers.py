"""The servers that the settings name to findings: do they answer, is everything there, may we use it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import aiohttp
import elasticsearch
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from elasticsearch import AsyncElasticsearch

from indexer import provision_elastic, provision_kafka, provision_kibana
from indexer.changes import Act, Change
from indexer.plan_templates import PREFIX
from tailrace import causes, kafka
from tailrace.cli.finding import Finding, look, ok, wrong
from tailrace.cli.kafka_metadata import OPERATIONS, UNKNOWN, Metadata
from tailrace.cli.reach_elastic import cause, elasticsearch_client
from tailrace.cli.reach_kafka import kafka_errors
from tailrace.errors import LOOK_CLOSER, TailraceError
from tailrace.settings import Settings
from tailrace.topics import written
from tailrace.words import several

_DEADLINE_SECONDS = 20.0
_UNKNOWN_TOPIC = 3
_SET_UP = "run `tailrace setup`"
_PRIVILEGES = ("auto_configure", "create_doc", "read", "view_index_metadata")


async def findings(settings: Settings) -> list[Finding]:
    """Ask all servers at the same time; what one of them refuses does not hide what the others say."""
    asked = [("kafka", _kafka(settings)), ("elasticsearch", _elasticsearch(settings))]
    if settings.kibana.url:
        asked.append(("kibana", _kibana(settings)))
    answers = await asyncio.gather(*(_collect(subject, found) for subject, found in asked))
    return [finding for answer in answers for finding in answer]


async def _collect(subject: str, found: AsyncGenerator[Finding]) -> list[Finding]:
    """What one server's check yields, up to the error or the deadline that ended it."""
    collected: list[Finding] = []
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), contextlib.aclosing(found):
            async for finding in found:
                collected.append(finding)  # noqa: PERF401 - what came before an error counts
    except TailraceError as error:
        what, _, next_step = str(error).removesuffix(LOOK_CLOSER).rpartition("; ")
        collected.append(wrong(subject, what or next_step, next_step if what else "see [" + subject + "]"))
    except TimeoutError:
        text = f"no answer within {_DEADLINE_SECONDS:.0f} s"
        collected.append(wrong(subject, text, "check the network, a firewall, the address"))
    return collected


async def _kafka(settings: Settings) -> AsyncGenerator[Finding]:
    client = AIOKafkaClient(**kafka.options(settings.kafka))
    try:
        async with kafka_errors(settings):
            needs = await _topic_needs(settings)
            await client.bootstrap()
            answer = (await client.send(client.get_random_node(), Metadata(list(needs)))).to_object()
    finally:
        await client.close()
    count = len(answer["brokers"])
    answers = "answers" if count == 1 else "answer"
    yield ok("kafka", f"{several(count, 'broker')} of cluster {answer['cluster_id']} {answers}")
    for topic in answer["topics"]:
        for finding in _topic(topic, needs[topic["topic"]]):
            yield finding
    async with provision_kafka.connect(settings) as topics:
        there = [change for change in await topics.plan() if change.act is not Act.CREATE]
        for finding in _changes(there):
            yield finding


async def _topic_needs(settings: Settings) -> dict[str, list[str]]:
    """Which operations each topic is used for, by a host that ships and indexes."""
    needs: dict[str, list[str]] = {}
    for topic in await kafka.record_topics(settings):
        needs.setdefault(topic, []).append("read")
    for topic in (*written(settings), settings.kafka.dead_letter_topic, settings.kafka.ledger_topic):
        needs.setdefault(topic, []).append("write")
    return needs


def _topic(topic: dict[str, Any], needs: list[str]) -> Iterable[Finding]:
    name = f"topic {topic['topic']}"
    if topic["error_code"] == _UNKNOWN_TOPIC:
        yield wrong(name, "is not there, or we may not see it", _SET_UP)
        return
    if topic["error_code"]:
        yield wrong(name, f"the broker says {for_code(topic['error_code']).__name__}", "look at the broker's log")
        return
    partitions = topic["partitions"]
    leaderless = [str(part["partition"]) for part in partitions if part["leader"] < 0]
    if leaderless:
        text = f"partition {', '.join(leaderless)} of {len(partitions)} has no leader: nothing can be written to it"
        yield wrong(name, text, "bring its brokers back")
    behind = [str(part["partition"]) for part in partitions if len(part["isr"]) < len(part["replicas"])]
    if behind and not leaderless:
        text = f"partition {', '.join(behind)} lacks replicas: one broker less may stop it"
        yield look(name, text, "bring the missing brokers back")
    allowed = topic["topic_authorized_operations"]
    lacks = [] if allowed == UNKNOWN else [need for need in needs if not allowed >> OPERATIONS[need] & 1]
    for need in lacks:
        who = "the indexer" if need == "read" else "the shipper or the indexer"
        yield wrong(name, f"we may not {need}", f"grant {need.title()} to this login ({who} needs it)")
    if not leaderless and not lacks:
        replicas = min(len(part["replicas"]) for part in partitions)
        rights = "" if allowed == UNKNOWN else f", we may {' and '.join(needs)}"
        yield ok(
            name,
            f"{several(len(partitions), 'partition')} with a leader each, {several(replicas, 'replica')}{rights}",
        )


def _changes(changes: Iterable[Change]) -> Iterable[Finding]:
    """What setup would still do."""
    for change in changes:
        subject = f"{change.kind} {change.name}"
        if change.act is Act.CREATE:
            yield wrong(subject, "is not there", _SET_UP)
        elif change.act is Act.CHANGE:
            keys = ", ".join(key.name for key in change.keys[:4]) + (", …" if len(change.keys) > 4 else "")
            yield look(subject, f"differs from the settings in {keys}", "see `tailrace setup --dry-run`")


async def _elasticsearch(settings: Settings) -> AsyncGenerator[Finding]:
    async with elasticsearch_client(settings) as client:
        health = (await client.cluster.health()).body
        yield _health(health, settings.elasticsearch.replicas)
        yield await _privileges(client, settings.indexer.allowed_streams)
    async with provision_elastic.connect(settings, PREFIX) as templates:
        changes = await templates.plan()
    for finding in _changes(changes):
        yield finding
    if all(change.act is Act.KEEP for change in changes):
        yield ok("elasticsearch", f"{several(len(changes), 'template')} as `tailrace setup` makes them")


def _health(health: dict[str, Any], replicas: int) -> Finding:
    """Of the cluster, and whether it can have as many replicas as the settings want."""
    status, nodes = health["status"], health["number_of_nodes"]
    text = f"cluster {health['cluster_name']} is {status}, {several(nodes, 'node')}"
    if status == "red":
        return wrong("elasticsearch", f"{text}: some shards are away", "look at GET _cluster/allocation/explain")
    too_many = replicas >= health["number_of_data_nodes"]
    if status == "yellow":
        homeless = health["unassigned_shards"]
        text += f": {several(homeless, 'replica')} {'has' if homeless == 1 else 'have'} no place"
    elif too_many:
        text += f": no place for the {several(replicas, 'replica')} that elasticsearch.replicas wants"
    else:
        return ok("elasticsearch", text)
    fewer = health["number_of_data_nodes"] - 1
    steps = [f"set replicas = {fewer} in [elasticsearch] and run `tailrace setup`"] if too_many else []
    if status == "yellow" and (too_many or not fewer):
        steps.append(f'of the indices that are there: PUT logs-*,metrics-*/_settings {{"number_of_replicas": {fewer}}}')
    return look("elasticsearch", text, "; ".join(steps or ["see GET _cluster/allocation/explain"]) + "; or add a node")


async def _privileges(client: AsyncElasticsearch, streams: list[str]) -> Finding:
    try:
        answer = await client.security.has_privileges(index=[{"names": streams, "privileges": list(_PRIVILEGES)}])
    except elasticsearch.ApiError as error:
        if error.status_code in (400, 404, 405):
            return ok("elasticsearch", "security is off: everybody may do everything")
        return look("elasticsearch", f"our privileges cannot be asked ({cause(error)})", "see that they suffice")
    lacks = [
        f"{privilege} on {pattern}"
        for pattern, granted in answer["index"].items()
        for privilege, has in granted.items()
        if not has
    ]
    if lacks:
        return wrong("elasticsearch", f"we lack {', '.join(lacks)}", f"give {answer['username']} a role with it")
    return ok("elasticsearch", f"{answer['username']} may do all that the indexer does")


async def _kibana(settings: Settings) -> AsyncGenerator[Finding]:
    section = settings.kibana
    try:
        context = ssl.create_default_context(cafile=section.ca_file) if section.ca_file else True
    except OSError as error:
        yield wrong("kibana", f"cannot use kibana.ca_file {section.ca_file} ({error})", "name a file with certificates")
        return
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{section.url.rstrip('/')}/api/status", ssl=context) as response,
        ):
            body = await response.json(content_type=None) if response.status in (200, 503) else {}
    except (aiohttp.ClientError, ValueError) as error:
        text, remedy = causes.cause(error)
        yield wrong("kibana", f"no usable answer at {section.url} ({text})", remedy)
        return
    level = body.get("status", {}).get("overall", {}).get("level")
    if level == "available":
        yield ok("kibana", f"{body.get('version', {}).get('number', 'some version')} at {section.url} is available")
    elif level:
        yield look("kibana", f"it answers, and says it is {level}", "look at its status page")
    else:
        text = f"{section.url}/api/status answered {response.status} and no status"
        yield wrong("kibana", text, "is kibana.url Kibana's address, with its base path?")
        return
    async with provision_kibana.connect(section) as dashboards:
        for finding in _changes(await dashboards.plan()):
            yield finding
