"""Every mistake in the settings file gets one sentence with the path of the key and the nearest known name."""

from pathlib import Path

import pytest

from tailrace import settings
from tailrace.elastic import client
from tailrace.errors import FixSettings
from tailrace.settings import Elasticsearch

MINIMAL = """
[kafka]
bootstrap_servers = ["127.0.0.1:9092"]
[elasticsearch]
hosts = ["http://127.0.0.1:9200"]
[shipper]
state_dir = "/var/lib/tailrace"
[[shipper.inputs]]
paths = ["/var/log/playback/*.log"]
dataset = "playback"
format = "json"
"""
CSV = 'format = "csv"\n'
INPUT = '[[shipper.inputs]]\npaths = ["/a.log"]\ndataset = "a"\n'


def mistake(text: str) -> str:
    """What the operator reads for a settings file with this text."""
    with pytest.raises(FixSettings) as caught:
        settings.parse(text, "t.toml")
    return str(caught.value)


def test_the_minimal_file_of_the_documentation_works() -> None:
    """Six keys are enough; everything else has a default."""
    found = settings.parse(MINIMAL)
    assert found.shipper.inputs[0].stream == "logs-playback-default"
    assert found.indexer.topics == [found.shipper.topic]


def test_an_empty_file_is_all_defaults() -> None:
    """No section must be there."""
    assert settings.parse("") == settings.Settings()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[kafak]\n", "t.toml: unknown key kafak; did you mean kafka?"),
        (
            '[kafka]\nbootstrap_server = ["a:1"]\n',
            "unknown key kafka.bootstrap_server; did you mean bootstrap_servers?",
        ),
        ('bootstrap_servers = ["a:1"]\n', "unknown key bootstrap_servers; it belongs in [kafka]."),
        ('[kafka]\nhosts = ["http://a:1"]\n', "unknown key kafka.hosts; it belongs in [elasticsearch]."),
        ("[shipper]\nzzzz = 1\n", "unknown key shipper.zzzz; known here: state_dir, topic, inputs,"),
        (INPUT + 'formt = "json"\n', "unknown key shipper.inputs[0].formt; did you mean format?"),
        (INPUT + INPUT + "path = 1\n", "unknown key shipper.inputs[1].path; did you mean paths?"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(text: str, sentence: str) -> None:
    """At each level: section, key, key of an input; a key of another section is sent there."""
    assert sentence in mistake(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[kafka]\npartitions = "3"\n', "t.toml: kafka.partitions: must be a whole number without quotes, not text."),
        ("[kafka]\npartitions = 1.5\n", "kafka.partitions: must be a whole number without quotes, not a number with a"),
        ("[kafka]\npartitions = true\n", "kafka.partitions: must be a whole number without quotes, not true or false."),
        ('[kafka]\nrequest_timeout_seconds = "x"\n', "must be a number without quotes, not text."),
        ("[kafka]\nclient_id = 7\n", "kafka.client_id: must be text in quotes, not a number."),
        ("[kafka]\nclient_id = 2026-01-01\n", "kafka.client_id: must be text in quotes, not a date."),
        ('[elasticsearch]\nverify_certs = "no"\n', "elasticsearch.verify_certs: must be true or false without quotes"),
        (
            '[elasticsearch]\nhosts = "http://a:1"\n',
            "elasticsearch.hosts: must be a list in square brackets, not text.",
        ),
        ("[elasticsearch]\nhosts = [1]\n", "elasticsearch.hosts[0]: must be text in quotes, not a number."),
        ("kafka = 1\n", "kafka: must be a table, not a number."),
        (
            '[shipper.inputs]\ndataset = "a"\n',
            "shipper.inputs: must be a list of tables; write [[shipper.inputs]] with",
        ),
        ('[[shipper.inputs]]\ndataset = "a"\n', "shipper.inputs[0]: the key paths is missing."),
        ('[[shipper.inputs]]\npaths = ["/a"]\n', "shipper.inputs[0]: the key dataset is missing."),
        (
            INPUT + "fields = { team = [1] }\n",
            "shipper.inputs[0].fields: must be true or false without quotes or a whole",
        ),
        ("[indexer.streams]\na = 1\n", "indexer.streams: must be text in quotes, not a number."),
    ],
)
def test_a_value_of_the_wrong_type_is_told_in_plain_words(text: str, sentence: str) -> None:
    """No type names of Python or of a library."""
    assert sentence in mistake(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            INPUT + 'format = "jsn"\n',
            "shipper.inputs[0].format: 'jsn' is not known; known are auto, json, plain,",
        ),
        (INPUT + 'format = "grok"\n', 'pattern: it is for format = "grok", which needs one.'),
        (
            INPUT + "format = \"grok\"\npattern = '%{IPX:a}'\n",
            "no pattern is called IPX; did you mean IP?\n  %{IPX:a}\n    ^",
        ),
        (INPUT + 'pattern = "x"\n', 'it is for format = "regex" or "grok", which needs one.'),
        (
            INPUT + 'format = "grok"\npattern = "%{A}"\ndefinitions = { A = "x(" }\n',
            "definitions.A: missing ).\n  x(\n   ^",
        ),
        (INPUT + 'definitions = { A = "x" }\n', 'definitions: they are for format = "grok".'),
        (INPUT + 'time_format = "%Y"\n', "time_format: it is for the formats regex, grok, csv."),
        (INPUT + CSV + 'time_format = "%Q"\ncsv.columns = ["a"]\n', "%Q is no directive"),
        (INPUT + CSV, 'csv.columns: they are for format = "csv", which needs them.'),
        (INPUT + CSV + 'csv = { columns = ["a"], delimiter = "ab" }\n', "delimiter: must be one character, not 'ab'."),
        (INPUT + CSV + 'csv = { columns = ["a"], quote = "," }\n', "quote: ',' is the delimiter too."),
        (INPUT + CSV + 'csv = { columns = ["a", "a"] }\n', "columns: a is there twice"),
        (INPUT + CSV + 'csv = { columns = ["took"], types = { tok = "text" } }\n', "did you mean took?"),
        (INPUT + CSV + 'csv = { columns = ["a"], types = { a = "nmber" } }\n', "'nmber' is not known"),
        ('[host]\ncloud_url = "ftp://x"\n', "host.cloud_url: 'ftp://x' is no address"),
        ('[host]\ncloud = "awz"\n', "did you mean aws?"),
        (INPUT + 'format = "cri"\ninner = "cri"\n', "inner: 'cri' is not known"),
        (INPUT + 'format = "jsn"\n', "did you mean json?"),
        (
            '[log]\nlevel = "warn"\n',
            "log.level: 'warn' is not known; known are debug, info, warning, error; did you mean",
        ),
        ('[kafka]\nsecurity_protocol = "TLS"\n', "known are PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ("[log]\nlevel = 3\n", "log.level: this is not known; known are debug, info, warning, error."),
    ],
)
def test_a_value_outside_a_closed_set_lists_the_set(text: str, sentence: str) -> None:
    """With the nearest known value where one is near."""
    assert sentence in mistake(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            INPUT.replace('"a"', '"A b"'),
            "shipper.inputs[0].dataset: 'A b' cannot be part of a data stream's name; use low",
        ),
        (INPUT + 'namespace = "a-b"\n', "shipper.inputs[0].namespace: 'a-b' cannot be part of"),
        (
            INPUT.replace("/a.log", "a.log"),
            "shipper.inputs[0].paths: 'a.log' is not absolute; a service has no current",
        ),
        (INPUT + 'exclude = ["*.gz"]\n', "shipper.inputs[0].exclude: '*.gz' is not absolute"),
        (INPUT.replace('["/a.log"]', "[]"), "shipper.inputs[0].paths: names no file; give at least one"),
        (INPUT + 'timezone = "Mars/Base"\n', "shipper.inputs[0].timezone: 'Mars/Base' is no zone; give local, UTC or"),
        ('[shipper]\nstate_dir = "state"\n', "shipper.state_dir: 'state' is not absolute"),
        ("[kafka]\nbootstrap_servers = []\n", "kafka.bootstrap_servers: names no broker; give at least one host:port."),
        ('[kafka]\nbootstrap_servers = ["a"]\n', "kafka.bootstrap_servers[0]: 'a' is no address; write host:port"),
        ('[kafka]\nbootstrap_servers = ["a:99999"]\n', "'a:99999' is no address"),
        ("[elasticsearch]\nhosts = []\n", "elasticsearch.hosts: names no node"),
        (
            '[elasticsearch]\nhosts = ["localhost:9200"]\n',
            "elasticsearch.hosts[0]: 'localhost:9200' is no address; write",
        ),
        ('[elasticsearch]\nhosts = ["http://a"]\n', "elasticsearch.hosts[0]: 'http://a' is no address"),
        ('[elasticsearch]\nhosts = ["http://[a:1"]\n', "is no address"),
        ('[kibana]\nurl = "kibana"\n', "kibana.url: 'kibana' is no address"),
        ('[metrics]\nshipper_listen = "9401"\n', "metrics.shipper_listen: '9401' is no address; write host:port"),
        ('[shipper]\ntopic = "a b"\n', "shipper.topic: 'a b' cannot be a topic's name"),
        ('[indexer]\ntopics = [".."]\n', "indexer.topics[0]: '..' cannot be a topic's name"),
        ("[indexer]\ntopics = []\n", "indexer.topics: names no topic"),
        ('[indexer]\ntopics = ["a", "^b("]\n', "indexer.topics[1]: missing )"),
        ('[indexer]\ngroup = ""\n', "indexer.group: is empty"),
        ("[indexer]\nallowed_streams = []\n", "indexer.allowed_streams: allows no data stream"),
        (
            '[indexer]\ntopics = ["a", "tailrace.dead-letters"]\n',
            "kafka.dead_letter_topic: tailrace.dead-letters is indexer.topics[1] too; each needs a topic of its own.",
        ),
        ('[shipper]\ntopic = "tailrace.ledger"\n', "kafka.ledger_topic: tailrace.ledger is shipper.topic too"),
        (
            '[kafka]\nledger_topic = "x"\ndead_letter_topic = "x"\n',
            "kafka.dead_letter_topic: x is kafka.ledger_topic too",
        ),
        (
            INPUT + "filters = [{ route = { topic = 'tailrace.ledger' } }]\n",
            "kafka.ledger_topic: tailrace.ledger is shipper.inputs[0].filters[0].route.topic too",
        ),
        ('[indexer]\nmember = "a b"\n', "indexer.member: 'a b' cannot be; use letters"),
        (
            '[indexer.streams]\naudit = "Audit"\n',
            "indexer.streams.audit: 'Audit' is no data stream like logs-app-default",
        ),
        ("[kafka]\npartitions = 0\n", "kafka.partitions: must be more than 0, not 0."),
        ("[kafka]\nrequest_timeout_seconds = nan\n", "kafka.request_timeout_seconds: must be more than 0, not nan."),
        ("[kafka]\nrequest_timeout_seconds = inf\n", "kafka.request_timeout_seconds: must be more than 0, not inf."),
        ("[shipper]\ndrain_seconds = -1\n", "shipper.drain_seconds: must be 0 or more, not -1"),
        ("[elasticsearch]\nretention_days = -1\n", "elasticsearch.retention_days: must be 0 or more"),
    ],
)
def test_a_value_that_cannot_be_is_named(text: str, sentence: str) -> None:
    """The right type is not enough: names, paths, addresses, zones and numbers are looked at."""
    assert sentence in mistake(text)


def test_zero_is_allowed_where_it_means_something() -> None:
    """Keep for ever, choose for me, do not wait."""
    settings.parse("[kafka]\nreplication_factor = 0\n[elasticsearch]\nretention_days = 0\nreplicas = 0\n")


def test_invalid_toml_is_told_with_line_and_column() -> None:
    """The editor can go there."""
    assert mistake('[kafka]\nclient_id = "a\n').startswith("t.toml is not valid TOML: ")
    assert "line 2, column" in mistake('[kafka]\nclient_id = "a\n')
    assert "line 1, column" in mistake("[kafka\n")
    assert "not valid TOML" in mistake("[kafka]\nclient_id = 'a'\nclient_id = 'b'\n")


def test_a_variable_of_the_environment_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """In any text, also within lists and inputs."""
    monkeypatch.setenv("BROKER", "kafka-1")
    found = settings.parse('[kafka]\nbootstrap_servers = ["${BROKER}:9092"]\n')
    assert found.kafka.bootstrap_servers == ["kafka-1:9092"]


def test_a_missing_variable_is_named_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never an empty text in its place."""
    monkeypatch.delenv("NOT_THERE", raising=False)
    sentence = "t.toml: kafka.bootstrap_servers[0]: the environment has no variable NOT_THERE."
    assert mistake('[kafka]\nbootstrap_servers = ["${NOT_THERE}:1"]\n') == sentence


def test_the_file_is_found_by_name_by_environment_or_in_its_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one named, else $TAILRACE_CONFIG, else ./tailrace.toml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAILRACE_CONFIG", raising=False)
    monkeypatch.setattr(settings, "SEARCHED", ("tailrace.toml",))
    with pytest.raises(FixSettings, match=r"No settings file: looked for tailrace\.toml; name one with --config"):
        settings.find(None)
    here, other, named = tmp_path / "tailrace.toml", tmp_path / "other.toml", tmp_path / "named.toml"
    for file in (here, other, named):
        file.write_text(MINIMAL)
    assert settings.find(None) == Path("tailrace.toml")
    monkeypatch.setenv("TAILRACE_CONFIG", str(other))
    assert settings.find(None) == other
    assert settings.find(str(named)) == named
    with pytest.raises(FixSettings, match=r"There is no settings file .*absent;"):
        settings.find(str(tmp_path / "absent"))
    monkeypatch.setenv("TAILRACE_CONFIG", str(tmp_path / "absent"))
    with pytest.raises(FixSettings, match=r"There is no settings file .*absent, which \$TAILRACE_CONFIG names;"):
        settings.find(None)


def test_a_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    """A folder, or bytes that are no text."""
    with pytest.raises(FixSettings, match=r"Cannot read .*: Is a directory\."):
        settings.load(tmp_path)
    file = tmp_path / "t.toml"
    file.write_bytes(b"\xff\xfe[kafka]")
    with pytest.raises(FixSettings, match=r"Cannot read .*: it is not UTF-8\."):
        settings.load(file)
    file.write_bytes(b"\xef\xbb\xbf[kafka]\n")
    assert settings.load(file) == settings.Settings()


def test_a_secret_comes_from_its_key_or_its_file(tmp_path: Path) -> None:
    """As systemd's credentials are handed over; a trailing newline is no part of it."""
    assert settings.secret(settings.Kafka(password="p"), "password") == "p"  # noqa: S106 - no real one
    file = tmp_path / "secret"
    file.write_text("q\n")
    assert settings.secret(settings.Kafka(password_file=str(file)), "password") == "q"
    with pytest.raises(FixSettings, match=r"Cannot read password_file = .*: No such file"):
        settings.secret(settings.Kafka(password_file=str(tmp_path / "absent")), "password")


def test_a_secret_that_is_no_text_and_certificates_that_are_none_are_named(tmp_path: Path) -> None:
    """In a sentence, wherever a client is made of them."""
    latin = tmp_path / "password"
    latin.write_bytes(b"\xe4")
    with pytest.raises(FixSettings, match="it is no UTF-8"):
        client(Elasticsearch(username="a", password_file=str(latin)))
    for hosts in (["https://127.0.0.1:1"], ["http://127.0.0.1:1"]):
        with pytest.raises(FixSettings, match=r"Cannot make a client of \[elasticsearch\]"):
            client(Elasticsearch(hosts=hosts, ca_file=str(tmp_path / "none.pem")))
