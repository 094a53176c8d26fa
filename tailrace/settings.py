"""One TOML file to settings, or one sentence that says what is wrong with it."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from tailrace import mistakes
from tailrace.errors import FixSettings
from tailrace.filter_settings import Filter

SEARCHED = ("tailrace.toml", "/etc/tailrace/tailrace.toml")
FORMATS = (
    *("auto", "json", "plain", "apache", "cri", "csv", "docker", "grok", "java", "journal", "klog", "logfmt"),
    *("nginx", "postgresql", "python", "redis", "regex", "rust", "syslog"),
)
"""The formats of lines that we bring."""
WRAPPERS = ("cri", "docker")
"""Formats whose lines hold those of another."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the settings file; unknown keys are errors."""


class Host(Section, frozen=True, kw_only=True):
    """``[host]``: this machine, as documents name it."""

    name: str = ""
    """``host.name``; empty means the machine's own host name."""
    details: bool = False
    """Whether documents also say the host's id, addresses, architecture and operating system: some 400 bytes each."""
    fields: dict[str, str | int | float | bool] = {}
    """Constant fields of all documents, as dotted ECS names or labels."""
    metadata_file: str = ""
    """More of them, JSON or TOML: ``fields``, and ``pods`` by ``namespace/name`` or uid; read at the start."""
    cloud: Literal["off", "aws", "gcp", "azure"] = "off"
    """Whose metadata service is asked, at the start, for ``cloud.*``."""
    cloud_url: str = "http://169.254.169.254"


class Kafka(Section, frozen=True, kw_only=True):
    """``[kafka]``: where the brokers are, how to log in, and the topics both halves share."""

    bootstrap_servers: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.1:9092"])
    client_id: str = "tailrace"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    request_timeout_seconds: float = 30.0
    ledger_topic: str = "tailrace.ledger"
    dead_letter_topic: str = "tailrace.dead-letters"
    partitions: int = 3
    """Partitions of the record topics that ``tailrace setup`` creates."""
    replication_factor: int = 0
    """Replicas of each topic; 0 means three, or as many as there are brokers if fewer."""
    retention_hours: int = 168
    dead_letter_retention_hours: int = 720
    """How long dead letters are kept; open ones in the last fifth of it are warned of."""


class Elasticsearch(Section, frozen=True, kw_only=True):
    """``[elasticsearch]``: where the nodes are, how to log in, and how the data streams are kept."""

    hosts: list[str] = msgspec.field(default_factory=lambda: ["http://127.0.0.1:9200"])
    username: str = ""
    password: str = ""
    password_file: str = ""
    api_key: str = ""
    api_key_file: str = ""
    ca_file: str = ""
    verify_certs: bool = True
    request_timeout_seconds: float = 60.0
    retention_days: int = 30
    """Data stream lifecycle: how long documents are kept; 0 keeps them for ever."""
    shards: int = 1
    replicas: int = 1


class Kibana(Section, frozen=True, kw_only=True):
    """``[kibana]``: where ``tailrace setup`` imports the dashboards; an empty url leaves Kibana alone."""

    url: str = ""
    username: str = ""
    password: str = ""
    password_file: str = ""
    api_key: str = ""
    api_key_file: str = ""
    ca_file: str = ""
    space: str = ""


class Multiline(Section, frozen=True, kw_only=True):
    """``[shipper.inputs.multiline]``: which lines of a file make one record."""

    rule: Literal[
        "auto",
        "off",
        "traces",
        "indent",
        "cri",
        "docker",
        "java",
        "python",
        "go",
        "node",
        "dotnet",
        "ruby",
        "php",
        "rust",
    ] = "auto"
    """``auto`` follows the format; a language joins its stack traces to the line before, ``traces`` those of all."""
    start: str = ""
    """A pattern (RE2) that the first line of every record matches, from its beginning."""
    continues: str = ""
    """A pattern (RE2) that every other line of a record matches, from its beginning."""
    count: int = 0
    """So many lines make a record."""
    max_lines: int = 500
    max_bytes: int = 131_072
    """A longer record goes on in another, which has the flag ``multiline``; at most half of ``chunk_bytes``."""
    flush_seconds: float = 1.0
    """How long a record that could go on waits, unchanged, before it is shipped as it is."""


class Csv(Section, frozen=True, kw_only=True):
    """``[shipper.inputs.csv]``: what the values of a line are."""

    columns: list[str] = []
    """A field for each, as a dotted ECS name or a label; an empty one is not kept."""
    delimiter: str = ","
    quote: str = '"'
    """Around a value with delimiters or line ends in it; empty where nothing is quoted."""
    types: dict[str, Literal["text", "integer", "number"]] = {}
    """Of columns that are labels; ECS fields have their own."""


class Input(Section, frozen=True, kw_only=True):
    """``[[shipper.inputs]]``: files that are read the same way and go to the same data stream."""

    paths: list[str]
    exclude: list[str] = []
    dataset: str
    namespace: str = "default"
    format: str = "auto"
    """One of ``FORMATS``, or one that an installed package brings (``tailrace.formats``)."""
    inner: str = "auto"
    """What is in the lines of ``cri`` and ``docker``."""
    pattern: str = ""
    """For ``grok``; or for ``regex``: what a whole line matches (RE2), groups named as fields with ``__`` for a dot."""
    definitions: dict[str, str] = {}
    """For ``grok``: named patterns of one's own."""
    csv: Csv = Csv()
    time_format: str = ""
    """For ``regex``, ``grok``, ``csv``: how ``time`` is written, as of ``strptime``; empty takes all common forms."""
    start: Literal["beginning", "end"] = "beginning"
    """Where files begin that are there at the first start with this input; later ones begin at their beginning."""
    ignore_older_seconds: float = 0.0
    """A file never read and not written for so long is left alone until it is written again; 0 reads all."""
    close_inactive_seconds: float = 0.0
    """A file that has been still for so long is closed, and opened again when it changes; 0 keeps it open."""
    service: str = ""
    """``service.name`` of lines that do not say it themselves; empty means the dataset."""
    timezone: str = "local"
    """Zone of times that do not say theirs: ``local``, ``UTC`` or an IANA name such as ``Europe/Paris``."""
    keep_original: bool = False
    """Keep the line as it was in ``event.original``."""
    fields: dict[str, str | int | float | bool] = {}
    """Constant fields, as dotted ECS names or labels."""
    filters: list[Filter] = []
    """What is dropped, changed or made unreadable before anything leaves the host, in this order."""
    multiline: Multiline = Multiline()

    @property
    def stream(self) -> str:
        """The data stream of this input, for example ``logs-playback-default``."""
        return f"logs-{self.dataset}-{self.namespace}"


class Shipper(Section, frozen=True, kw_only=True):
    """``[shipper]``: the agent that reads files."""

    state_dir: str = "/var/lib/tailrace"
    topic: str = "tailrace.logs"
    inputs: list[Input] = []
    poll_seconds: float = 0.05
    """How often the sizes of recently active files are looked at."""
    rescan_seconds: float = 10.0
    """How often the globs are evaluated and all files looked at, whatever the file system's events say."""
    partial_line_seconds: float = 5.0
    """How long a line without its end waits, unchanged, before it is shipped as it is."""
    linger_seconds: float = 0.02
    """How long a batch may wait to be filled by other files."""
    ledger_seconds: float = 5.0
    """How often what was shipped is published to the ledger topic."""
    chunk_bytes: int = 262_144
    batch_bytes: int = 983_040
    """Most bytes of a record batch, before compression."""
    budget_bytes: int = 5_242_880
    """Most bytes of records in flight to all partitions together; a partition may hold a quarter."""
    max_line_bytes: int = 1_048_576
    """A longer line keeps its first so many bytes and the flag ``truncated``."""
    max_record_bytes: int = 900_000
    """A larger document is fitted by cutting its longest texts, and flagged ``truncated``."""
    open_files: int = 4096
    drain_seconds: float = 20.0
    """How long a stop waits for acknowledgements; what is not acknowledged is sent again at the next start."""
    forget_seconds: float = 604_800.0
    """How long a file must be gone before what is stored of it is forgotten; 0 never forgets."""

    @property
    def read_bytes(self) -> int:
        """The most that is read of a file at once, and so what a joined record must be seen whole in."""
        return min(self.chunk_bytes, self.max_line_bytes)


class Indexer(Section, frozen=True, kw_only=True):
    """``[indexer]``: the consumer group that loads Elasticsearch."""

    topics: list[str] = msgspec.field(default_factory=lambda: ["tailrace.logs"])
    """Names, and patterns (RE2) that begin with ``^``: they are matched from a name's beginning."""
    group: str = "tailrace-indexer"
    member: str = ""
    """A name of this indexer's own in the group: one that is back within its session keeps its partitions."""
    allowed_streams: list[str] = msgspec.field(default_factory=lambda: ["logs-*-*", "metrics-*-*"])
    streams: dict[str, str] = {}
    """Topic to data stream, for records of others that do not name one; else ``logs-<topic>-default``."""
    ids: Literal["deterministic", "auto"] = "deterministic"
    """``auto``: Elasticsearch makes the ids, which costs it less, and what is sent again is stored again."""
    slice_bytes: int = 4_194_304
    """Most bytes of one bulk request; they are smaller while Elasticsearch has no room, or is slow."""
    slice_actions: int = 5000
    in_flight: int = 3
    """Most bulk requests at the same time; they are fewer while Elasticsearch has no room, or does not answer."""
    slow_seconds: float = 5.0
    """A bulk request that takes longer makes the next ones smaller."""
    buffer_bytes: int = 12_582_912
    """Most bytes of polled records that wait for Elasticsearch; then the partitions are paused."""
    reach_records: int = 30_000
    """How many records past its commit an owner may store; a successor looks up at most so many after a crash."""
    commit_seconds: float = 1.0
    linger_seconds: float = 0.05
    """Least time between bulk requests that are not full; a line after a silence goes at once."""
    drain_seconds: float = 20.0
    """How long a stop or a rebalance waits for bulk requests in flight; the next owner looks up what they left."""
    session_seconds: float = 10.0
    """How long after its last heartbeat an indexer counts as dead, and others take over its partitions."""


class Metrics(Section, frozen=True, kw_only=True):
    """``[metrics]``: Prometheus endpoints, ``host:port`` each; empty means none."""

    shipper_listen: str = ""
    indexer_listen: str = ""


class Log(Section, frozen=True, kw_only=True):
    """``[log]``: what the programs say of themselves, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """``auto`` is coloured for a person at a terminal, else ECS JSON."""


class Settings(Section, frozen=True, kw_only=True):
    """The whole settings file."""

    host: Host = msgspec.field(default_factory=Host)
    kafka: Kafka = msgspec.field(default_factory=Kafka)
    elasticsearch: Elasticsearch = msgspec.field(default_factory=Elasticsearch)
    kibana: Kibana = msgspec.field(default_factory=Kibana)
    shipper: Shipper = msgspec.field(default_factory=Shipper)
    indexer: Indexer = msgspec.field(default_factory=Indexer)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    log: Log = msgspec.field(default_factory=Log)


def find(named: str | None) -> Path:
    """The settings file: the one named, else ``$TAILRACE_CONFIG``, else the first that exists of ``SEARCHED``.

    Raises:
        FixSettings: none is there.
    """
    for name, by in ((named, ""), (os.environ.get("TAILRACE_CONFIG"), ", which $TAILRACE_CONFIG names")):
        if name:
            if not Path(name).is_file():
                raise FixSettings(f"There is no settings file {name}{by}; name another with --config.")
            return Path(name)
    for name in SEARCHED:
        if Path(name).is_file():
            return Path(name)
    raise FixSettings(
        f"No settings file: looked for {' and '.join(SEARCHED)}; name one with --config, or let "
        "`tailrace install` or `tailrace stack up` write one."
    )


def load(path: Path) -> Settings:
    """Read and check one settings file.

    Raises:
        FixSettings: it cannot be read, is not TOML, or holds a mistake; the text names the key.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise FixSettings(f"Cannot read {path}: {reason}.") from error
    return parse(text, str(path))


def parse(text: str, name: str = "settings") -> Settings:
    """As ``load``, from the file's text; ``name`` is what errors call it."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FixSettings(f"{name} is not valid TOML: {error}.") from error
    tables = _expand(tables, "", name)
    if unknown := mistakes.unknown_key(tables, Settings):
        raise FixSettings(f"{name}: {unknown}")
    try:
        settings = msgspec.convert(tables, Settings)
    except msgspec.ValidationError as error:
        raise FixSettings(f"{name}: {mistakes.wrong_type(str(error), Settings)}") from error
    check(settings, name)
    return settings


def check(settings: Settings, name: str) -> None:
    """Look for values that cannot be meant; ``name`` is what errors call the settings.

    Raises:
        FixSettings: there is one; the text names its key.
    """
    if wrong := mistakes.wrong_value(settings):
        raise FixSettings(f"{name}: {wrong}")


def secret(section: Kafka | Elasticsearch | Kibana, key: str) -> str:
    """The value of a secret key, from the key itself or from the file that ``<key>_file`` names.

    Raises:
        FixSettings: the file cannot be read.
    """
    name = getattr(section, key + "_file")
    if not name:
        return str(getattr(section, key))
    try:
        return Path(name).read_text("utf-8").strip()
    except OSError as error:
        raise FixSettings(f"Cannot read {key}_file = {name}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise FixSettings(f"Cannot read {key}_file = {name}: it is no UTF-8.") from error


def _expand(value: Any, path: str, name: str) -> Any:  # noqa: ANN401 - the tree of a TOML file
    if isinstance(value, dict):
        return {key: _expand(inner, f"{path}.{key}" if path else key, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, f"{path}[{number}]", name) for number, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        text = os.environ.get(found[1])
        if text is None:
            raise FixSettings(f"{name}: {path}: the environment has no variable {found[1]}.")
        return text

    return _VARIABLE.sub(variable, value)
