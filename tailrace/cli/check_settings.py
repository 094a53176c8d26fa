"""Settings to findings that need no server: files, folders, secrets, and values that contradict each other."""

import fnmatch
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from shipper.scan import scan
from tailrace import kafka
from tailrace.cli import check_filters, check_host, check_plugins
from tailrace.cli.finding import Finding, look, ok, wrong
from tailrace.errors import FixSettings
from tailrace.settings import Elasticsearch, Input, Kafka, Kibana, Settings, secret
from tailrace.topics import Topics, written
from tailrace.words import several, spoken_bytes

_MOST_NAMED = 5
_LEAST_RETENTION_HOURS = 72
_MOST_HTTP_BYTES = 100 * 1024 * 1024
"""Elasticsearch's default of ``http.max_content_length``."""


def findings(settings: Settings) -> Iterator[Finding]:
    """Everything that can be said without asking a server, in the order of the settings file."""
    yield from _kafka(settings.kafka)
    yield from _elasticsearch(settings.elasticsearch)
    if settings.kibana.url:
        yield from _login("kibana", settings.kibana, settings.kibana.url)
    yield from _state_dir(settings.shipper.state_dir)
    yield from _inputs(settings)
    yield from check_plugins.findings(settings)
    yield from check_host.findings(settings)
    yield from _indexer(settings)


def _kafka(section: Kafka) -> Iterator[Finding]:
    subject = "kafka"
    problem = ""
    try:
        kafka.options(section)
    except FixSettings as error:
        problem = str(error)
    servers = ", ".join(section.bootstrap_servers)
    if problem:
        yield wrong(subject, problem, "put the file there, readable by the service's user")
    elif section.security_protocol.startswith("SASL") and not section.username:
        yield wrong(subject, f"{section.security_protocol} needs a login", "set kafka.username and kafka.password_file")
    else:
        login = f" as {section.username}" if section.username else ""
        yield ok(subject, f"{servers} by {section.security_protocol}{login}")
    if section.username and not section.security_protocol.startswith("SASL"):
        yield look(
            subject, f"kafka.username is not used with {section.security_protocol}", "set kafka.security_protocol"
        )
    if section.security_protocol == "SASL_PLAINTEXT" and section.sasl_mechanism == "PLAIN":
        yield look(subject, "the password crosses the network unencrypted", "use SASL_SSL, or a SCRAM mechanism")
    if section.retention_hours < _LEAST_RETENTION_HOURS:
        yield look(
            subject,
            f"records are deleted after {section.retention_hours} hours, indexed or not: a long week-end is longer",
            f"set kafka.retention_hours to {_LEAST_RETENTION_HOURS} or more",
        )


def _elasticsearch(section: Elasticsearch) -> Iterator[Finding]:
    yield from _login("elasticsearch", section, *section.hosts)
    if section.ca_file and not os.access(section.ca_file, os.R_OK):
        yield wrong("elasticsearch", f"ca_file {section.ca_file} cannot be read", "put it there, readable")
    if not section.verify_certs and any(host.startswith("https") for host in section.hosts):
        yield look("elasticsearch", "certificates are not verified", "give elasticsearch.ca_file instead")


def _login(subject: str, section: Elasticsearch | Kibana, *hosts: str) -> Iterator[Finding]:
    try:
        api_key, password = secret(section, "api_key"), secret(section, "password")
    except FixSettings as error:
        yield wrong(subject, str(error), "put the file there, readable by the service's user")
        return
    login = "with an API key" if api_key else f"as {section.username}" if section.username else "without a login"
    yield ok(subject, f"{', '.join(hosts)} {login}")
    if api_key and section.username:
        yield look(subject, "both an API key and a username are set; the key is used", "remove one of them")
    if section.username and not password and not api_key:
        yield look(subject, f"the password of {section.username} is empty", f"set {subject}.password_file")
    abroad = [host for host in hosts if host.startswith("http:") and not _is_here(host)]
    if abroad and (api_key or section.username):
        yield look(subject, f"the login crosses the network to {abroad[0]} unencrypted", "use https")


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def _state_dir(name: str) -> Iterator[Finding]:
    subject, folder = "state folder", Path(name)
    made = next(place for place in (folder, *folder.parents) if place.exists())
    if made == folder and not folder.is_dir():
        yield wrong(subject, f"{name} is no folder", "name another in shipper.state_dir")
    elif made == folder:
        yield _used(subject, folder)
    elif not made.is_dir() or _unwritable(made):
        yield wrong(
            subject,
            f"{name} is not there, and {_me()} cannot make it",
            f"make it, and chown it to {_me()}; tailrace-ship.service makes it when it starts",
        )
    else:
        yield ok(subject, f"{name}, will be made")


def _used(subject: str, folder: Path) -> Finding:
    """Whether a folder that is there can be written to, and what an agent left in it."""
    reason = _unwritable(folder)
    if reason:
        return wrong(
            subject, f"{folder} is not writable by {_me()}: {reason}", f"chown it to {_me()}, or run as its owner"
        )
    closed = [path for path in sorted(folder.iterdir()) if path.is_file() and not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        return wrong(subject, f"{closed[0]} is not writable by {_me()}", f"chown -R {folder} to {_me()}")
    return ok(subject, f"{folder}, writable")


def _unwritable(folder: Path) -> str:
    """Why no file can be made in a folder: tried, with a file without a name; empty if one can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _inputs(settings: Settings) -> Iterator[Finding]:
    if not settings.shipper.inputs:
        yield look("inputs", "none: nothing would be shipped from here", "add [[shipper.inputs]], or only index here")
    owners: dict[object, int] = {}
    for number, entry in enumerate(settings.shipper.inputs):
        yield from _input(entry, f"input {number}", number, owners)


def _input(entry: Input, subject: str, number: int, owners: dict[object, int]) -> Iterator[Finding]:
    seen = scan([entry])
    size = sum(found.size for found in seen.found.values())
    files = f"{several(len(seen.found), 'file')}, {spoken_bytes(size)}"
    yield ok(subject, f"{', '.join(entry.paths)} as {entry.format} to {entry.stream}: {files}")
    yield from check_filters.findings(entry, subject)
    for pattern in seen.empty:
        yield look(subject, f"{pattern} matches nothing yet", "right if the file comes later; else mend the path")
    refused = [(path, refusal.reason) for path, refusal in seen.refused.items()]
    refused += [(found.path, reason) for found in seen.found.values() if (reason := _unreadable(found.path))]
    for path, reason in refused[:_MOST_NAMED]:
        yield wrong(subject, f"{path} cannot be read: {reason}", _mend(reason))
    if len(refused) > _MOST_NAMED:
        yield wrong(
            subject, f"and {several(len(refused) - _MOST_NAMED, 'more file')} cannot be read", "see those above"
        )
    twice = [found.path for place, found in seen.found.items() if owners.setdefault(place, number) != number]
    if twice:
        other = next(owners[place] for place, found in seen.found.items() if found.path == twice[0])
        more = f" and {len(twice) - 1:,} more" if len(twice) > 1 else ""
        yield look(
            subject,
            f"{twice[0]}{more}: input {other} matches it too and, being first, has it",
            "exclude it from one of the two",
        )


def _unreadable(path: str) -> str:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _mend(reason: str) -> str:
    if reason == "Permission denied":
        return f"let {_me()} read it: its group (adm?), or CAP_DAC_READ_SEARCH as in tailrace-ship.service"
    return "exclude it, or mend the path"


def _indexer(settings: Settings) -> Iterator[Finding]:
    subject, indexer = "indexer", settings.indexer
    yield ok(subject, f"group {indexer.group} from {', '.join(indexer.topics)}")
    ours = written(settings)
    for topic in ours if settings.shipper.inputs else ():
        if not Topics(settings).match(topic):
            name = f"shipper.topic {topic}" if topic == settings.shipper.topic else f"{topic}, where filters route to,"
            yield look(subject, f"{name} is not among indexer.topics", "add it, unless another indexer has it")
    for stream in dict.fromkeys(stream for entry in settings.shipper.inputs for stream in _streams(entry)):
        if not any(fnmatch.fnmatchcase(stream, pattern) for pattern in indexer.allowed_streams):
            yield wrong(
                subject,
                f"no pattern of indexer.allowed_streams allows {stream}",
                "add one, or every record is a dead letter",
            )
    if indexer.ids == "auto":
        yield look(
            subject,
            "indexer.ids is auto: what is sent again (after a crash, an unknown outcome, a rebalance) is stored again",
            'right if at least once is enough; else set it to "deterministic"',
        )
    if indexer.slice_bytes > _MOST_HTTP_BYTES:
        yield look(
            subject,
            f"indexer.slice_bytes is {spoken_bytes(indexer.slice_bytes)}, more than Elasticsearch takes by default",
            "lower it",
        )


def _streams(entry: Input) -> Iterator[str]:
    """The data streams of an input, those of its routes too."""
    yield entry.stream
    for one in entry.filters:
        if one.route is not None:
            yield f"logs-{one.route.dataset or entry.dataset}-{one.route.namespace or entry.namespace}"


def _me() -> str:
    return f"user {os.geteuid()}"
