"""Settings and the topics a cluster has to the topics it should have. No I/O."""

from collections.abc import Mapping

import msgspec

from indexer.changes import Act, Change, Key, compare
from tailrace.settings import Settings
from tailrace.topics import Topics, written

KIND = "topic"
SHORT_RETENTION_HOURS = 72
_ENVELOPE_BYTES = 65_536
"""Room for a record's header, key, and the batch around it; and for the reason a dead letter carries."""
_USUAL_BYTES = 2_097_152
_HOUR = 3_600_000


class Topic(msgspec.Struct, frozen=True):
    """A topic that should be there; ``ours`` is False where others own it: it is made if missing, never altered."""

    name: str
    partitions: int
    replicas: int
    configs: dict[str, str]
    ours: bool = True


class FoundTopic(msgspec.Struct, frozen=True):
    """A topic that is there; ``configs`` as they act (defaults included), ``own`` those set on the topic itself."""

    partitions: int
    replicas: int
    configs: dict[str, str]
    own: dict[str, str]


def topics(settings: Settings, brokers: int) -> list[Topic]:
    """The topics the settings ask for, on a cluster of so many brokers."""
    kafka = settings.kafka
    replicas = kafka.replication_factor or min(3, brokers)
    largest = max(
        _USUAL_BYTES,
        settings.shipper.max_record_bytes + _ENVELOPE_BYTES,
        settings.shipper.batch_bytes + _ENVELOPE_BYTES,
    )
    records = {
        "cleanup.policy": "delete",
        "retention.ms": _milliseconds(kafka.retention_hours),
        "max.message.bytes": str(largest),
    }
    dead = {
        **records,
        "retention.ms": _milliseconds(kafka.dead_letter_retention_hours),
        "max.message.bytes": str(largest + _ENVELOPE_BYTES),
    }
    # Compaction never touches the segment that is written to: a day's segments keep the ledger short.
    ledger = {"cleanup.policy": "compact", "segment.ms": str(24 * _HOUR)}
    ours = written(settings)
    wanted = [Topic(name, kafka.partitions, replicas, records) for name in ours]
    wanted += [
        Topic(name, kafka.partitions, replicas, records, ours=False)
        for name in Topics(settings).named
        if name not in ours
    ]
    wanted.append(Topic(kafka.ledger_topic, 1, replicas, ledger))
    wanted.append(Topic(kafka.dead_letter_topic, min(3, kafka.partitions), replicas, dead))
    return [_durable(topic, topic.replicas) for topic in wanted]


_LEAST = {"min.insync.replicas", "max.message.bytes"}
"""Configs that somebody may have set higher: that is durable too, and other programs' records may need it."""


def plan(wanted: Topic, found: FoundTopic | None) -> Change:
    """What to do to one topic: make it, alter the configs that differ, or leave it."""
    if found is None:
        notes = _short(wanted.configs.get("retention.ms", ""))
        tree = {"partitions": wanted.partitions, "replicas": wanted.replicas, **wanted.configs}
        change = compare(KIND, wanted.name, tree, None)
        return msgspec.structs.replace(change, notes=notes)
    configs = dict(_durable(wanted, found.replicas).configs) if wanted.ours else {}
    configs |= {
        key: found.configs[key] for key in _LEAST & configs.keys() if _is_more(found.configs.get(key), configs[key])
    }
    notes = (*_left_alone(wanted, found), *_short(_policy_retention({**found.configs, **configs})))
    before = {key: found.configs.get(key) for key in configs}
    keys = tuple(Key(key, before[key], configs[key]) for key in sorted(configs) if before[key] != configs[key])
    return Change(Act.CHANGE if keys else Act.KEEP, KIND, wanted.name, keys, notes)


def altered(change: Change, found: FoundTopic) -> dict[str, str]:
    """The full set of the topic's own configs after the change.

    Kafka's AlterConfigs replaces all of them, so those that others set must be sent along or they are reset.
    """
    return {**found.own, **{key.name: key.after for key in change.keys}}


def _durable(topic: Topic, replicas: int) -> Topic:
    """An acknowledged record must outlive a broker: with three replicas, two have it."""
    configs: Mapping[str, str] = {**topic.configs, "min.insync.replicas": "2" if replicas > 2 else "1"}
    return msgspec.structs.replace(topic, configs=dict(configs))


def _is_more(found: str | None, wanted: str) -> bool:
    return found is not None and found.isdecimal() and int(found) > int(wanted)


def _left_alone(wanted: Topic, found: FoundTopic) -> tuple[str, ...]:
    notes = []
    if found.partitions < wanted.partitions:
        notes.append(
            f"it has {found.partitions} partitions where the settings say {wanted.partitions}; left alone, because "
            "more partitions would send the rest of a file to another one and break its order"
        )
    if found.replicas < wanted.replicas:
        notes.append(
            f"it has {found.replicas} replicas where {wanted.replicas} are wanted; left alone, raise it with "
            "kafka-reassign-partitions"
        )
    return tuple(notes)


def _policy_retention(configs: Mapping[str, str]) -> str:
    return configs.get("retention.ms", "") if "delete" in configs.get("cleanup.policy", "delete") else ""


def _short(retention: str) -> tuple[str, ...]:
    if not retention or not 0 <= int(retention) < SHORT_RETENTION_HOURS * _HOUR:
        return ()
    note = (
        f"records are deleted after {int(retention) / _HOUR:g} hours, read or not: an indexer that stands still over "
        "a long weekend loses them; keep at least 72 hours"
    )
    return (note,)


def _milliseconds(hours: int) -> str:
    """Kafka's retention.ms; 0 hours and less mean for ever."""
    return str(hours * _HOUR) if hours > 0 else "-1"
