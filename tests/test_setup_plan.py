"""What setup decides, without any server: the difference, the topics, the templates, the saved objects."""

import click
import msgspec
import pytest

from indexer import plan_dashboards, plan_templates, plan_topics
from indexer.changes import Act, Change, Key, compare, flatten
from indexer.plan_topics import FoundTopic
from indexer.provision_elastic import shipped
from tailrace.cli.setup import describe, summarize
from tailrace.settings import Elasticsearch, Indexer, Kafka, Settings, Shipper, parse


def _topic(settings: Settings, name: str, brokers: int = 1) -> plan_topics.Topic:
    return next(topic for topic in plan_topics.topics(settings, brokers) if topic.name == name)


def _as_found(topic: plan_topics.Topic) -> FoundTopic:
    return FoundTopic(topic.partitions, topic.replicas, topic.configs, topic.configs)


def test_nothing_found_is_created_with_all_its_keys() -> None:
    """A change lists every key of what is made, so that --json tells all."""
    change = compare("topic", "a", {"x": {"y": 1}, "z": 2}, None)
    assert (change.act, change.keys) == (Act.CREATE, (Key("x.y", None, 1), Key("z", None, 2)))


def test_what_is_found_but_not_wanted_is_a_difference() -> None:
    """Writing replaces, so a key that is only there would be lost: the diff says so before."""
    change = compare("topic", "a", {"x": 1}, {"x": 1, "theirs": 2})
    assert (change.act, change.keys) == (Act.CHANGE, (Key("theirs", 2, None),))


def test_equal_trees_are_kept() -> None:
    """Order and empty objects mean nothing."""
    assert compare("topic", "a", {"x": 1, "y": {}}, {"x": 1}).act is Act.KEEP
    assert flatten({"a": {"b": {"c": 1}}, "d": [1]}) == {"a.b.c": 1, "d": [1]}


def test_the_default_topics() -> None:
    """Records are deleted by age, the ledger is compacted, dead letters live longer and may be larger."""
    logs, ledger, dead = plan_topics.topics(Settings(), brokers=1)
    assert (logs.name, logs.partitions, logs.configs["retention.ms"]) == ("tailrace.logs", 3, str(168 * 3_600_000))
    assert (ledger.name, ledger.configs["cleanup.policy"]) == ("tailrace.ledger", "compact")
    assert dead.configs["retention.ms"] == str(720 * 3_600_000)
    assert int(dead.configs["max.message.bytes"]) > int(logs.configs["max.message.bytes"])


def test_topics_that_filters_route_to_are_made_like_our_own() -> None:
    """Also where the indexer names them, too."""
    text = """
        [[shipper.inputs]]
        paths = ["/x"]
        dataset = "x"
        filters = [{ route = { topic = "loud" } }, { route = { topic = "tailrace.logs" } }]
        [indexer]
        topics = ["theirs", "loud", "tailrace.logs"]
    """
    found = plan_topics.topics(parse(text), brokers=1)
    assert {one.name: one.ours for one in found} == {
        "tailrace.logs": True,
        "loud": True,
        "theirs": False,
        "tailrace.ledger": True,
        "tailrace.dead-letters": True,
    }
    assert found[0].configs == found[1].configs


@pytest.mark.parametrize(("brokers", "replicas", "insync"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")])
def test_replicas_follow_the_brokers(brokers: int, replicas: int, insync: str) -> None:
    """As many as there are up to three; of three, two must have a record before it is acknowledged."""
    topic = _topic(Settings(), "tailrace.logs", brokers)
    assert (topic.replicas, topic.configs["min.insync.replicas"]) == (replicas, insync)


def test_the_largest_record_fits_the_topic() -> None:
    """A record that the shipper may send is never refused for its size by a topic that setup made."""
    settings = Settings(shipper=Shipper(max_record_bytes=5_000_000))
    assert int(_topic(settings, "tailrace.logs").configs["max.message.bytes"]) > 5_000_000


def test_a_topic_as_wanted_is_kept() -> None:
    """The second run finds nothing to do."""
    for topic in plan_topics.topics(Settings(), brokers=1):
        assert plan_topics.plan(topic, _as_found(topic)) == plan_topics.Change(Act.KEEP, "topic", topic.name)


def test_fewer_partitions_are_told_and_left() -> None:
    """More partitions would move the rest of a file to another one and break its order."""
    topic = _topic(Settings(kafka=Kafka(partitions=12)), "tailrace.logs")
    found = msgspec.structs.replace(_as_found(topic), partitions=3)
    change = plan_topics.plan(topic, found)
    assert change.act is Act.KEEP
    assert "3 partitions where the settings say 12" in change.notes[0]


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (["logs-*-*", "metrics-*-*"], ["logs-shop-*"], "logs-*-* and metrics-*-* would not be covered"),
        (["logs-*-*", "metrics-*-*"], ["logs-*", "metrics-x-*"], "metrics-*-* would not be covered"),
        (["logs-shop-*"], ["logs-*-*"], ""),
        (["logs-*-*"], ["logs-*"], ""),
    ],
)
def test_a_template_that_would_cover_fewer_names_says_so_before(before: list[str], after: list[str], lost: str) -> None:
    """Elasticsearch would refuse that where it has such data streams: a dry run warns, and says what to do."""
    wanted = Settings(indexer=Indexer(allowed_streams=after))
    templates = plan_templates.templates(shipped(), wanted, (), "tailrace")
    template = next(one for one in templates if one.name == "tailrace")
    notes = plan_templates.plan(template, {**template.body, "index_patterns": before}).notes
    assert lost in " ".join(notes)
    assert ("keep it in indexer.allowed_streams" in " ".join(notes)) is bool(lost)


def test_a_long_refusal_names_streams_whole_and_says_how_many_more() -> None:
    """No name is cut in its middle, and the advice is the right way round."""
    names = ", ".join(f"logs-a.rather.long.name.of.a.service.{number}-default" for number in range(40))
    said = plan_templates.refusal(
        f"composable template [x] with index patterns [y] would cause data streams [{names}] to no longer match a "
        "data stream template"
    )
    assert "service.0-default, logs-a" in said
    assert " and 35 more)" in said
    assert "back into indexer.allowed_streams" in said
    assert plan_templates.refusal("word " * 300).startswith("word word")
    assert " word …; " in plan_templates.refusal("word " * 300)


def test_what_was_set_higher_stays() -> None:
    """More copies before an acknowledgement, and room for larger records of other programs, are no fault."""
    topic = _topic(Settings(), "tailrace.logs", 3)
    higher = {"min.insync.replicas": "3", "max.message.bytes": "10485760"}
    found = FoundTopic(3, 3, {**topic.configs, **higher}, higher)
    assert plan_topics.plan(topic, found).act is Act.KEEP
    lower = {"min.insync.replicas": "1", "max.message.bytes": "1048588"}
    change = plan_topics.plan(topic, FoundTopic(3, 3, {**topic.configs, **lower}, lower))
    assert [key.name for key in change.keys] == ["max.message.bytes", "min.insync.replicas"]


def test_altering_keeps_what_others_set() -> None:
    """AlterConfigs replaces all configs of a topic: those that we do not know are sent along."""
    topic = _topic(Settings(), "tailrace.logs")
    found = FoundTopic(3, 1, {**topic.configs, "retention.ms": "5", "x": "1"}, {"retention.ms": "5", "x": "1"})
    change = plan_topics.plan(topic, found)
    assert change.keys == (Key("retention.ms", "5", "604800000"),)
    assert plan_topics.altered(change, found) == {"retention.ms": "604800000", "x": "1"}


def test_topics_of_others_are_made_but_never_altered() -> None:
    """A topic that only the indexer reads belongs to somebody else."""
    settings = Settings(indexer=Indexer(topics=["tailrace.logs", "theirs"]))
    topic = _topic(settings, "theirs")
    assert plan_topics.plan(topic, None).act is Act.CREATE
    found = FoundTopic(1, 1, {"retention.ms": "3600000", "cleanup.policy": "delete"}, {})
    change = plan_topics.plan(topic, found)
    assert change.act is Act.KEEP
    assert "after 1 hours" in change.notes[1]


@pytest.mark.parametrize(("hours", "warned"), [(71, True), (72, False), (0, False), (-1, False)])
def test_a_retention_under_three_days_is_told(hours: int, *, warned: bool) -> None:
    """An indexer that stands still over a long weekend must not lose records; 0 keeps for ever."""
    settings = Settings(kafka=Kafka(retention_hours=hours))
    for found in (None, _as_found(_topic(settings, "tailrace.logs"))):
        notes = plan_topics.plan(_topic(settings, "tailrace.logs"), found).notes
        assert any("72 hours" in note for note in notes) == warned


def test_a_compacted_topic_is_not_warned_of() -> None:
    """Retention does not act on a ledger that is only compacted."""
    ledger = _topic(Settings(), "tailrace.ledger")
    found = FoundTopic(1, 1, {**ledger.configs, "retention.ms": "1000"}, {})
    assert plan_topics.plan(ledger, found).notes == ()


def test_the_settings_reach_the_templates() -> None:
    """Shards, replicas, retention and the streams are the operator's."""
    settings = Settings(
        elasticsearch=Elasticsearch(shards=2, replicas=0, retention_days=7),
        indexer=Indexer(allowed_streams=["logs-a-*"]),
    )
    _, kept, custom, index = plan_templates.templates(shipped(), settings, set(), "acme")
    assert kept.body["template"]["settings"]["index.number_of_shards"] == 2
    assert kept.body["template"]["lifecycle"] == {"enabled": True, "data_retention": "7d"}
    assert custom.once
    assert (index.name, index.body["index_patterns"]) == ("acme", ["logs-a-*"])
    assert index.body["composed_of"] == ["acme@mappings", "acme@settings", "acme@custom"]


def test_activity_and_metrics_have_templates_above_that_of_logs() -> None:
    """Each index template is above the one whose streams it takes, and made after what it is composed of."""
    wanted = plan_templates.templates(shipped(), Settings(), set(), "acme")
    made = [template.name for template in wanted]
    index = {template.name: template.body for template in wanted if template.kind == "index template"}
    assert index.keys() == {"acme", "acme-activity", "acme-metrics"}
    assert index["acme-activity"]["index_patterns"] == ["logs-activity.*-*"]
    assert index["acme-metrics"]["index_patterns"] == ["metrics-*-*"]
    assert index["acme"]["priority"] < index["acme-activity"]["priority"] != index["acme-metrics"]["priority"]
    for name, body in index.items():
        assert all(made.index(component) < made.index(name) for component in body["composed_of"])
        assert body["composed_of"][-1] == "acme@custom"


@pytest.mark.parametrize(
    ("allowed", "activity", "metrics"),
    [
        ("logs-*-*", ["logs-activity.*-*"], []),
        ("logs-*", ["logs-activity.*-*"], []),
        ("*", ["logs-activity.*-*"], ["metrics-*-*"]),
        ("*-*-eu", ["logs-activity.*-eu"], ["metrics-*-eu"]),
        ("logs-activity.web-*", ["logs-activity.web-*"], []),
        ("logs-a*-*", ["logs-activity.*-*"], []),
        ("logs-app-*", [], []),
        ("logs-app*", [], []),
        ("logs-app", [], []),
        ("metrics-cpu.*-*", [], ["metrics-cpu.*-*"]),
        ("m*-*", [], ["metrics-*-*"]),
    ],
)
def test_their_templates_are_for_allowed_streams_only(allowed: str, activity: list[str], metrics: list[str]) -> None:
    """What the settings do not let through may have templates of others."""
    assert plan_templates.activity_patterns([allowed, allowed]) == activity
    assert plan_templates.metrics_patterns([allowed, allowed]) == metrics


def test_for_ever_has_no_retention() -> None:
    """0 days keep documents for ever: rollover stays, deletion goes."""
    settings = Settings(elasticsearch=Elasticsearch(retention_days=0))
    kept = plan_templates.templates(shipped(), settings, set(), "tailrace")[1]
    assert kept.body["template"]["lifecycle"] == {"enabled": True}


def test_a_full_cluster_gets_everything() -> None:
    """Nothing is degraded, and nothing said, where nothing lacks."""
    wanted = plan_templates.templates(shipped(), Settings(), set(), "tailrace")
    assert wanted[0].body["template"]["mappings"]["properties"]["message"] == {"type": "match_only_text"}
    assert wanted[1].body["template"]["settings"]["index.mode"] == "logsdb"
    assert {template.notes for template in wanted} == {()}


def test_every_lack_is_one_sentence_and_gone_from_the_templates() -> None:
    """Whatever a cluster lacks is taken out in one place, and the operator reads what it means."""
    lacks = {feature.name for feature in plan_templates.FEATURES}
    wanted = plan_templates.templates(shipped(), Settings(), lacks, "tailrace")
    assert "match_only_text" not in str([template.body for template in wanted])
    assert wanted[1].body["template"] == {
        "settings": {
            "index.codec": "best_compression",
            "index.mapping.ignore_malformed": True,
            "index.mapping.total_fields.limit": 1000,
        }
    }
    assert sum(len(template.notes) for template in wanted) == len(lacks)


def test_each_feature_is_named_by_its_probe() -> None:
    """What a probe asks for is what is removed: a lack can never leave a template that the cluster refuses."""
    for feature in plan_templates.FEATURES:
        wanted = plan_templates.templates(shipped(), Settings(), {feature.name}, "tailrace")
        told = [template for template in wanted if template.notes]
        assert [template.notes for template in told] == [(feature.sentence,)]
        assert told[0].name == f"tailrace@{feature.concerns}"


def test_the_servers_form_equals_ours() -> None:
    """Elasticsearch gives settings back nested and as text, with defaults and dates of its own."""
    ours = {"data_stream": {}, "template": {"settings": {"index.mapping.ignore_malformed": True, "index.a": 1}}}
    theirs = {
        "created_date": "2026-11-23",
        "data_stream": {"hidden": False, "allow_custom_routing": False},
        "template": {"settings": {"index": {"mapping": {"ignore_malformed": "true"}, "a": "1"}}},
    }
    assert plan_templates.normal(ours) == plan_templates.normal(theirs)


def test_the_users_own_template_is_made_once() -> None:
    """Whatever stands in it is never compared, never overwritten."""
    custom = plan_templates.templates(shipped(), Settings(), set(), "tailrace")[2]
    assert plan_templates.plan(custom, None).act is Act.CREATE
    assert (
        plan_templates.plan(custom, {"template": {"settings": {"index": {"refresh_interval": "9s"}}}}).act is Act.KEEP
    )


def test_a_changed_template_tells_when_it_takes_effect() -> None:
    """Indices keep the template they were made with: the operator must know."""
    wanted = plan_templates.templates(shipped(), Settings(), set(), "tailrace")[1]
    found = plan_templates.templates(
        shipped(), Settings(elasticsearch=Elasticsearch(retention_days=90)), set(), "tailrace"
    )[1]
    change = plan_templates.plan(wanted, found.body)
    assert change.keys == (Key("template.lifecycle.data_retention", "90d", "30d"),)
    assert "roll over" in change.notes[0]
    assert "_lifecycle" in change.notes[1]


def test_what_a_person_reads() -> None:
    """A mark and a colour by what happens, then the keys before and after, then the notes; a change is never cut."""
    keys = (Key("a", 1, "x" * 100), Key("b", None, [2]))
    assert [click.unstyle(line) for line in describe(Change(Act.CHANGE, "topic", "t", keys, ("look",)))] == [
        "~ topic t",
        '    a: 1 → "' + "x" * 100 + '"',
        "    b: nothing → [2]",
        "    ! look",
    ]
    many = tuple(Key(str(number), None, number) for number in range(100))
    made = Change(Act.CREATE, "topic", "t", many)
    assert list(describe(made))[1:] == [f"    {number}: {number}" for number in range(100)]
    assert list(describe(made, whole=False))[1:] == ["    100 keys (--dry-run shows them)"]
    changed = Change(Act.CHANGE, "topic", "t", many)
    assert list(describe(changed, whole=False))[-1] == "    99: nothing → 99"
    assert next(describe(Change(Act.CREATE, "topic", "t"))) == click.style("+ topic t", fg="green")


def test_the_last_line_counts() -> None:
    """What was done, or would be; nothing to do is said, and whether there is something to read."""
    changes = [Change(Act.CREATE, "topic", "a"), Change(Act.KEEP, "topic", "b")]
    assert summarize(changes, dry_run=False) == "1 created, 0 changed, 1 unchanged."
    assert summarize(changes, dry_run=True).startswith("1 to create, 0 to change, 1 unchanged. Nothing was changed")
    assert summarize(changes[1:], dry_run=False) == "Nothing to do: all 1 are as the settings say."
    assert summarize([Change(Act.KEEP, "topic", "b", (), ("x",))], dry_run=False) == "Nothing to do; see the notes (!)."


def test_a_saved_object_is_known_by_its_mark() -> None:
    """Kibana rewrites what it imports; the mark in the description survives, and changes with any change of ours."""
    line = b'{"type":"dashboard","id":"d","attributes":{"title":"T","description":"D","panelsJSON":"[]"}}'
    (wanted,) = plan_dashboards.marked(line)
    migrated = {**wanted, "attributes": {**wanted["attributes"], "panelsJSON": "[ ]"}, "typeMigrationVersion": "10.3.0"}
    assert plan_dashboards.plan(wanted, migrated).act is Act.KEEP
    (newer,) = plan_dashboards.marked(line.replace(b'"[]"', b'"[1]"'))
    change = plan_dashboards.plan(newer, migrated)
    assert (change.act, [key.name for key in change.keys]) == (Act.CHANGE, ["description"])
