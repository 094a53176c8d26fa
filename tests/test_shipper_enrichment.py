"""What documents say of host, container, pod and cloud."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from click.testing import CliRunner

from indexer.provision_elastic import shipped
from shipper.cloud import cloud_fields
from shipper.constants import NOTHING, Surroundings
from shipper.containers import container_of
from shipper.ecs import FIELDS
from shipper.machine import details, surroundings
from shipper.records import Encoder
from shipper.trial import source_of, steps_of
from tailrace.cli import cli
from tailrace.errors import FixSettings
from tailrace.settings import Host, Input, Shipper

ID = "0123456789abcdef" * 4
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
POD = f"/var/log/pods/shop_web-0_{UID}/nginx/0.log"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (POD, ["shop", "web-0", UID, "nginx", None]),
        (f"/host{POD}.20261124-050415.gz", ["shop", "web-0", UID, "nginx", None]),
        (f"/var/log/pods/kube-a_etcd-a.b_{'0f' * 16}/etcd/12.log", ["kube-a", "etcd-a.b", "0f" * 16, "etcd", None]),
        (f"/var/log/containers/web-0_shop_my-nginx-{ID}.log", ["shop", "web-0", None, "my-nginx", ID]),
        (f"/var/lib/docker/containers/{ID}/{ID}-json.log", [None, None, None, None, ID]),
        (f"/var/lib/docker/containers/{ID}/{ID[::-1]}-json.log", [None] * 5),
        ("/var/log/pods/web/0.log", [None] * 5),
        ("/var/log/nginx/access.log", [None] * 5),
    ],
)  # fmt: skip
def test_a_path_says_which_container_wrote(path: str, fields: list[str | None]) -> None:
    """As the kubelet and Docker name files, rotated ones too; other paths say nothing."""
    names = ["namespace", "pod.name", "pod.uid", "container.name"]
    wanted = dict(zip([*(f"kubernetes.{name}" for name in names), "container.id"], fields, strict=True))
    assert container_of(path) == {name: value for name, value in wanted.items() if value}


def documents(path: str, content: bytes, around: Surroundings = NOTHING, **keys: Any) -> list[dict[str, Any]]:
    """What becomes of a file's lines."""
    entry = Input(paths=[path], dataset="d", timezone="UTC", **keys)
    source = source_of(entry, path, "h", Shipper(), None, around)
    steps = steps_of(source, lambda most, at: content[at : at + most], Shipper().chunk_bytes, lambda: 1)
    return [orjson.loads(value) for step in steps for _, value in step.records]


AROUND = Surroundings(
    host={"id": "abc"},
    fields={"cloud.region": "eu-1", "rack": "b7", "slot": 7},
    pods={"shop/web-0": {"team": "checkout"}, UID: {"tier": "front"}, "shop/other": {"team": "x"}},
)


@pytest.mark.parametrize("name", ["plain", "json", "nginx"])
def test_constants_are_in_every_document_and_win_over_the_line(name: str) -> None:
    """No name twice, which Elasticsearch would refuse; what a line says of the same is a label."""
    mine = b'"container.id":"mine","kubernetes":{"namespace":"mine"},"cloud":{"region":"mine"}'
    line = b'{"message":"m",%b,"level":"info"}\n' % mine
    made = documents(POD, line * 4, AROUND, format=name, fields={"rack": "of the input", "container.id": "theirs"})
    assert len(made) == 4
    for one in made:
        assert one["host"] == {"name": "h", "id": "abc"}
        assert one["kubernetes"] == {
            "namespace": "shop",
            "pod": {"name": "web-0", "uid": UID},
            "container": {"name": "nginx"},
        }
        assert one["cloud"] == {"region": "eu-1"}
        assert one["container"] == {"id": "theirs"}
        assert one["numeric_labels"] == {"slot": 7}
        own = {"rack": "of the input", "team": "checkout", "tier": "front"}
        said = (
            {"container.id": "mine", "kubernetes.namespace": "mine", "cloud.region": "mine"} if name == "json" else {}
        )
        assert one["labels"] == own | said


def test_no_name_stands_twice_in_a_document() -> None:
    """Read as pairs: a parser that keeps the last would hide it."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        assert len(names) == len(set(names))
        return dict(found)

    entry = Input(paths=["/x"], dataset="d", format="json")
    encoder = Encoder(entry, "s", POD, {"name": "h"}, 900_000, 1_000_000, None, None, AROUND)
    lines = [b'{"host":{"id":"x"},"kubernetes":"y","container":{"id":"z"},"agent":"a","ecs":"e","message":"m"}'] * 3
    for _, value in encoder.chunk(lines, 0, 0, 0, 1).records:
        json.loads(value, object_pairs_hook=pairs)


def test_constants_are_not_shared_between_documents() -> None:
    """What one line adds must not be in the next."""
    lines = b'{"kubernetes":{"node":{"name":"a"}},"x":"1"}\n{"message":"m","y":2}\n'
    made = documents(POD, lines, AROUND, format="json")
    assert made[0]["kubernetes"]["node"] == {"name": "a"}
    assert "node" not in made[1]["kubernetes"]
    assert "x" not in made[1]["labels"]


def test_every_constant_field_is_mapped() -> None:
    """With the template that setup makes."""
    mapped = shipped()["tailrace@mappings"]["template"]["mappings"]["properties"]
    for name in (*container_of(POD), "cloud.machine.type", "cloud.project.id", "kubernetes.node.name"):
        assert name in FIELDS
        place: Any = {"properties": mapped}
        for part in name.split("."):
            place = place["properties"][part]
        assert place["type"] == "keyword"
    for key, value in details().items():
        inner = mapped["host"]["properties"][key]
        assert not isinstance(value, dict) or set(value) <= set(inner["properties"])


def test_details_are_of_this_machine_and_off_by_default() -> None:
    """Addresses without the loopback, and nothing that is empty."""
    made = details()
    assert made["architecture"]
    assert made["os"]["type"] == "linux"
    assert made["os"]["kernel"]
    assert not {"127.0.0.1", "::1"} & set(made.get("ip", []))
    assert "" not in made.values()
    assert surroundings(Host()) == NOTHING
    assert surroundings(Host(details=True)).host == made


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "m.toml",
            '[fields]\nrack = "b7"\nkubernetes = { node = { name = "n7" } }\n[pods."shop/web-0"]\nteam = "checkout"\n',
        ),
        (
            "m.json",
            '{"fields":{"rack":"b7","kubernetes.node.name":"n7"},"pods":{"shop/web-0":{"team":"checkout"}}}',
        ),
    ],
)
def test_a_file_of_metadata_gives_fields(tmp_path: Path, name: str, text: str) -> None:
    """TOML or JSON, dotted or nested; the settings win."""
    file = tmp_path / name
    file.write_text(text)
    around = surroundings(Host(metadata_file=str(file), fields={"rack": "c1"}))
    assert around.fields == {"rack": "c1", "kubernetes.node.name": "n7"}
    assert around.pods == {"shop/web-0": {"team": "checkout"}}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("m.toml", "a = ", "is not valid TOML"),
        ("m.json", "{", "is not valid JSON"),
        ("m.json", "[]", "may have the tables fields and pods"),
        ("m.toml", 'rack = "b7"', "may have the tables fields and pods"),
        ("m.toml", 'pods = { a = "b" }', "must be tables of fields"),
        ("m.toml", None, "No such file"),
    ],
)
def test_a_mistake_in_a_file_of_metadata_is_told(tmp_path: Path, name: str, text: str | None, sentence: str) -> None:
    """By the agent as an error, by ``check`` as a finding."""
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(FixSettings, match=sentence):
        surroundings(Host(metadata_file=str(file)))
    settings = tmp_path / "tailrace.toml"
    settings.write_text(f'[host]\nmetadata_file = "{file}"\n[shipper]\nstate_dir = "{tmp_path}"\n')
    said = CliRunner().invoke(cli, ["check", "-c", str(settings), "--json"])
    assert said.exit_code == 1
    assert sentence in said.stdout


class Service(ThreadingHTTPServer):
    """A metadata service on this machine; ``answers`` by method and path, with the headers that each wants."""

    answers: dict[tuple[str, str], tuple[dict[str, str], bytes]]


class Answer(BaseHTTPRequestHandler):
    """Answers 403 without the headers, 404 to the rest."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Service)
        headers, body = self.server.answers.get((self.command, self.path), ({}, b""))
        granted = all(self.headers.get(name) == value for name, value in headers.items())
        self.send_response(200 if body and granted else 403 if body else 404)
        self.end_headers()
        self.wfile.write(body if granted else b"")

    do_PUT = do_GET  # noqa: N815 - as above

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    """On a free port of the loopback."""
    server = Service(("127.0.0.1", 0), Answer)
    server.answers = {}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


AWS = {"accountId": "1", "region": "eu-1", "availabilityZone": "eu-1a", "instanceId": "i-7", "instanceType": "m5"}
GCP = {
    "instance": {"id": 77, "zone": "projects/1/zones/eu-west1-b", "machineType": "projects/1/machineTypes/e2"},
    "project": {"projectId": "shop"},
}
AZURE = {"subscriptionId": "s", "location": "westeurope", "zone": "", "vmId": "v", "vmSize": "D2"}
ANSWERS: dict[str, dict[tuple[str, str], tuple[dict[str, str], bytes]]] = {
    "aws": {
        ("PUT", "/latest/api/token"): ({"X-aws-ec2-metadata-token-ttl-seconds": "60"}, b"secret"),
        ("GET", "/latest/dynamic/instance-identity/document"): (
            {"X-aws-ec2-metadata-token": "secret"},
            orjson.dumps(AWS),
        ),
    },
    "gcp": {("GET", "/computeMetadata/v1/?recursive=true"): ({"Metadata-Flavor": "Google"}, orjson.dumps(GCP))},
    "azure": {
        ("GET", "/metadata/instance/compute?api-version=2021-02-01"): ({"Metadata": "true"}, orjson.dumps(AZURE))
    },
}
WANTED = {
    "aws": ["1", None, "eu-1", "eu-1a", "i-7", "m5"],
    "gcp": [None, "shop", "eu-west1", "eu-west1-b", "77", "e2"],
    "azure": ["s", None, "westeurope", None, "v", "D2"],
}


def address(service: Service) -> str:
    """Where it listens."""
    return f"http://127.0.0.1:{service.server_port}"


@pytest.mark.parametrize("provider", ANSWERS)
def test_the_cloud_says_where_we_run(service: Service, provider: str) -> None:
    """In the way of each provider's service, on a stand-in."""
    service.answers = ANSWERS[provider]
    names = ["account.id", "project.id", "region", "availability_zone", "instance.id", "machine.type"]
    wanted = {f"cloud.{name}": value for name, value in zip(names, WANTED[provider], strict=True) if value}
    assert cloud_fields(provider, address(service)) == {"cloud.provider": provider, **wanted}
    assert set(wanted) <= set(FIELDS)


def test_a_cloud_that_does_not_answer_is_said_and_nothing_more(service: Service) -> None:
    """Another's answer, nonsense, no answer: the agent begins without."""
    url = address(service)
    for answers in ({}, {("GET", "/computeMetadata/v1/?recursive=true"): ({}, b'{"instance":7}')}):
        service.answers = answers
        with structlog.testing.capture_logs() as logs:
            assert surroundings(Host(cloud="gcp", cloud_url=url)) == NOTHING
        assert [log["cloud"] for log in logs] == ["gcp"]
    service.answers = {("GET", "/computeMetadata/v1/?recursive=true"): ({}, b"no json")}
    with pytest.raises(OSError, match="cannot be understood"):
        cloud_fields("gcp", url)
    with pytest.raises(OSError, match="refused"):
        cloud_fields("aws", "http://127.0.0.1:1")
