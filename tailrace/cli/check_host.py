"""What documents are to say of this host to findings."""

from collections.abc import Iterator

import msgspec

from shipper.cloud import cloud_fields
from shipper.machine import surroundings
from tailrace.cli.finding import Finding, look, ok, wrong
from tailrace.errors import FixSettings
from tailrace.settings import Settings
from tailrace.words import listed, several, spoken_bytes

_SUBJECT = "host"


def findings(settings: Settings) -> Iterator[Finding]:
    """What can be said without asking the cloud; nothing where the settings say nothing."""
    host = settings.host
    if not (host.details or host.fields or host.metadata_file):
        return
    try:
        around = surroundings(msgspec.structs.replace(host, cloud="off"))
    except FixSettings as error:
        yield wrong(_SUBJECT, str(error), "mend the file, or leave host.metadata_file out")
        return
    pods = f", and of {several(len(around.pods), 'pod')}" if around.pods else ""
    if around.fields or around.pods:
        yield ok(_SUBJECT, f"fields {listed(around.fields) or 'none'} in every document{pods}")
    if host.details:
        size = len(msgspec.json.encode(around.host))
        yield ok(_SUBJECT, f"host.{', host.'.join(around.host)} in every document, {spoken_bytes(size)}")


def connected(settings: Settings) -> Iterator[Finding]:
    """Whether the cloud's metadata service answers, where the settings name one."""
    host = settings.host
    if host.cloud == "off":
        return
    try:
        fields = cloud_fields(host.cloud, host.cloud_url)
    except OSError as error:
        reason = error.strerror or str(error)
        step = "set host.cloud to off, or to the provider that this machine is of"
        yield look(
            _SUBJECT, f"the metadata service of {host.cloud} at {host.cloud_url} does not answer: {reason}", step
        )
        return
    yield ok(_SUBJECT, ", ".join(f"{name} {value}" for name, value in fields.items()))
