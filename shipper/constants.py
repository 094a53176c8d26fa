"""Fields that are the same in every document of a source, made once. No I/O."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from shipper import ecs
from shipper.containers import container_of, pod_names
from shipper.times import Times
from tailrace.settings import Input


class Surroundings(NamedTuple):
    """What is known of the host beside its name.

    ``host`` goes into ``host`` as it is; ``fields`` are dotted, and of every document; ``pods`` are more of them by the
    name of a pod (``namespace/name``) or by its uid.
    """

    host: Mapping[str, Any]
    fields: Mapping[str, Any]
    pods: Mapping[str, Mapping[str, Any]]


NOTHING = Surroundings({}, {}, {})


class Constants:
    """Begins documents; the settings of the input win over what its file's path says, and that over the host's."""

    def __init__(self, entry: Input, path: str, around: Surroundings, times: Times) -> None:
        container = container_of(path)
        fields = {**around.fields, **container}
        for name in pod_names(container):
            fields |= around.pods.get(name, {})
        self._begun = ecs.Document(times)
        self._begun.walk("", {**fields, **entry.fields}, 0)
        self.some = bool(fields or entry.fields)

    def begin(self, document: ecs.Document) -> None:
        """Set the fields in a document in which nothing is set; what its line says of the same becomes labels."""
        begun = self._begun
        document.fields = _copied(begun.fields)
        document.log = {**begun.log}
        document.labels = {**begun.labels}
        document.numbers = {**begun.numbers}
        document.flags = [*begun.flags]


def _copied(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, dict) else value for key, value in tree.items()}
