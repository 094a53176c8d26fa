"""What a state folder knows of its stack, to a file and back."""

import os
from enum import StrEnum
from pathlib import Path

import msgspec

from tailrace.errors import StackFailed
from tailrace.stack.process import Child


class Name(StrEnum):
    """The servers of a stack."""

    KAFKA = "kafka"
    ELASTICSEARCH = "elasticsearch"

    @property
    def spoken(self) -> str:
        """As people write it."""
        return self.value.capitalize()


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Ports and sizes that a restart keeps, and who runs now."""

    kafka_port: int
    elasticsearch_port: int
    partitions: int = 3
    heap_mib: int = 1024
    children: dict[Name, Child] = {}
    """Started and not stopped by us; one of these that is not alive has died."""
    settings_digest: str = ""
    """SHA-256 of the ``tailrace.toml`` we wrote, to tell whether someone changed it since."""

    def port(self, name: Name) -> int:
        """The port clients use."""
        return self.kafka_port if name is Name.KAFKA else self.elasticsearch_port

    def with_child(self, name: Name, child: Child | None) -> "Record":
        """The record after a start (or, with None, a stop) of one server."""
        children = {known: its for known, its in self.children.items() if known is not name}
        if child is not None:
            children[name] = child
        return msgspec.structs.replace(self, children=children)


def load(file: Path) -> Record | None:
    """The record of a folder, or None if there was never a stack in it."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StackFailed(f"{file} cannot be read ({error}): remove it, and any server it named, by hand") from None


def save(record: Record, file: Path) -> None:
    """Replace the record; a reader sees the old one or the new one, never half of either."""
    making = file.with_suffix(".new")
    with making.open("wb") as opened:
        opened.write(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    making.replace(file)
