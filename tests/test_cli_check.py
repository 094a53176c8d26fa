"""``tailrace check``: each thing that is wrong, or may not be meant, gets a line and the next step."""

import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from conftest import MakeTopic

from tailrace import settings as settings_module
from tailrace.cli import check_servers, cli
from tailrace.cli.finding import Finding, Mark
from tailrace.stack import Stack

check_command = importlib.import_module("tailrace.cli.check")
"""The module, whose name is also the command's."""

TAILRACE = str(Path(sys.executable).parent / "tailrace")


def check(*arguments: str) -> Result:
    """Run it in this process."""
    return CliRunner().invoke(cli, ["check", *arguments])


def findings(tmp_path: Path, text: str) -> list[str]:
    """``mark subject: text`` of all that is not well with a settings file of this text."""
    file = tmp_path / "tailrace.toml"
    file.write_text(text)
    report = json.loads(check("-c", str(file), "--json").stdout)
    return [f"{one['mark']} {one['subject']}: {one['text']}" for one in report["findings"] if one["mark"] != "ok"]


def with_input(tmp_path: Path, pattern: str, more: str = "") -> str:
    """Settings with one input and a state folder that is there."""
    (tmp_path / "state").mkdir(exist_ok=True)
    return (
        f'[shipper]\nstate_dir = "{tmp_path}/state"\n[[shipper.inputs]]\npaths = ["{tmp_path}/{pattern}"]\n'
        f'dataset = "app"\n{more}'
    )


def test_all_is_well(tmp_path: Path) -> None:
    """Exit code 0, what was understood in a few lines, and what to run next."""
    (tmp_path / "a.log").write_text("x\n" * 1024)
    (tmp_path / "b.log").write_text("")
    file = tmp_path / "tailrace.toml"
    file.write_text(with_input(tmp_path, "*.log"))
    result = check("-c", str(file))
    assert result.exit_code == 0
    assert f"✓ input 0        {tmp_path}/*.log as auto to logs-app-default: 2 files, 2.0 KiB" in result.stdout
    assert "✓ state folder" in result.stdout
    assert result.stdout.endswith("Nothing wrong, 0 to look at. Next: tailrace check --connect\n")
    assert result.stdout.startswith(f"Settings of {file}")


def test_filters_that_are_hardly_meant_are_looked_at(tmp_path: Path) -> None:
    """A misspelt field, two fields renamed to one; fields that the filters themselves make are known."""
    (tmp_path / "a.log").write_text("x\n")
    text = with_input(tmp_path, "*.log", 'format = "json"\nfields = { "event.origine" = "x" }\n')
    for rule in (
        "when = 'log.levle == \"debug\"'\ndrop = true",
        'rename = { a = "user.id", b = "user.id", c = "user.names" }',
        "when = 'user.names == \"x\" && event.origine == \"x\"'\nremove = ['d']",
    ):
        text += f"[[shipper.inputs.filters]]\n{rule}\n"
    assert findings(tmp_path, text) == [
        "look input 0: filter drop-1: no line fills a field log.levle",
        "look input 0: filter rename-2: a and b are both renamed to user.id, which holds one value",
    ]
    shown = check("-c", str(tmp_path / "tailrace.toml")).stdout
    assert "→ did you mean log.level?" in shown


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path) -> None:
    """A folder, a FIFO, a dangling link, and at most five of many; exit code 1."""
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "link.log").symlink_to(tmp_path / "gone")
    found = findings(tmp_path, with_input(tmp_path, "*.log"))
    assert found == [
        f"wrong input 0: {tmp_path}/folder.log cannot be read: it is a directory",
        f"wrong input 0: {tmp_path}/link.log cannot be read: its link points nowhere",
        f"wrong input 0: {tmp_path}/pipe.log cannot be read: it is a FIFO",
    ]
    for number in range(5):
        (tmp_path / f"more{number}.log").mkdir()
    assert findings(tmp_path, with_input(tmp_path, "*.log"))[-1] == "wrong input 0: and 3 more files cannot be read"
    assert check("-c", str(tmp_path / "tailrace.toml")).exit_code == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_of_others_names_the_permission_that_is_missing(tmp_path: Path) -> None:
    """As the service's user would find it."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / "a.log").write_text("x\n")
    (tmp_path / "a.log").chmod(0o600)
    file = tmp_path / "tailrace.toml"
    file.write_text(with_input(tmp_path, "*.log"))
    check("-c", str(file))  # loads what it needs while we may read it
    os.setresuid(65534, 65534, 0)
    try:
        result = check("-c", str(file))
    finally:
        os.setresuid(0, 0, 0)
    assert result.exit_code == 1
    assert f"{tmp_path}/a.log cannot be read: Permission denied" in result.stdout
    assert "CAP_DAC_READ_SEARCH" in result.stdout
    assert "is not writable by user 65534" in result.stdout


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root has powers to give up")
def test_root_without_its_powers_is_not_said_to_read_everything(tmp_path: Path) -> None:
    """What counts is tried, and not who we are: in a container root often has lost them."""
    (tmp_path / "a.log").write_text("x\n")
    (tmp_path / "a.log").chmod(0o600)
    file = tmp_path / "tailrace.toml"
    file.write_text(with_input(tmp_path, "*.log"))
    (tmp_path / "state").chmod(0o755)
    for path in (tmp_path / "a.log", tmp_path / "state"):
        os.chown(path, 65534, 65534)
    command = [sys.executable, "-m", "tailrace", "check", "-c", str(file)]
    whole = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (whole.returncode, "who may read everything" in whole.stdout) == (0, True)
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
    ended = subprocess.run(powerless, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert "(as root, without the power to read everything)" in ended.stdout
    assert f"✗ input 0        {tmp_path}/a.log cannot be read: Permission denied" in ended.stdout
    assert f"✗ state folder   {tmp_path}/state is not writable by user 0: Permission denied" in ended.stdout


def test_a_state_folder_that_cannot_be_made_is_wrong(tmp_path: Path) -> None:
    """✗ and exit code 1, for nothing would be shipped; one that can be made is well."""
    file = tmp_path / "tailrace.toml"
    file.write_text('[shipper]\nstate_dir = "/proc/tailrace"\n')
    result = check("-c", str(file))
    assert result.exit_code == 1
    assert "✗ state folder   /proc/tailrace is not there, and user" in result.stdout
    file.write_text(f'[shipper]\nstate_dir = "{tmp_path}/new/state"\n')
    assert "✓ state folder   " in check("-c", str(file)).stdout
    assert not (tmp_path / "new").exists()


def test_a_step_that_mends_several_things_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the end, with the number of lines that it is for; a step of one thing stands under it."""
    steps = ["run `tailrace setup`", "run `tailrace setup`", "start it"]
    found = [Finding(Mark.WRONG, f"thing {number}", "is away", step) for number, step in enumerate(steps)]
    check_command._show(check_command._Report("file", ok=False, findings=found), 1)
    said = capsys.readouterr().out
    assert said.index("thing 0") < said.index("What answers\n") < said.index("thing 1")
    assert said.count("tailrace setup") == 1
    assert "→ for 2 of these: run `tailrace setup`\n" in said
    assert "✗ thing 2  is away\n           → start it\n" in said


def test_a_pattern_that_matches_nothing_is_to_look_at(tmp_path: Path) -> None:
    """No error: the file may come later."""
    found = findings(tmp_path, with_input(tmp_path, "absent/*.log"))
    assert found == [f"look input 0: {tmp_path}/absent/*.log matches nothing yet"]


def test_a_file_that_two_inputs_match_is_named(tmp_path: Path) -> None:
    """The first has it, and it is said which that is."""
    (tmp_path / "a.log").write_text("x\n")
    (tmp_path / "b.log").write_text("x\n")
    second = f'[[shipper.inputs]]\npaths = ["{tmp_path}/a*"]\ndataset = "other"\n'
    found = findings(tmp_path, with_input(tmp_path, "*.log", second))
    assert found == [f"look input 1: {tmp_path}/a.log: input 0 matches it too and, being first, has it"]
    excluding = with_input(tmp_path, "*.log", f'exclude = ["{tmp_path}/a.*"]\n' + second)
    assert findings(tmp_path, excluding) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[kafka]\nretention_hours = 24\n", "look kafka: records are deleted after 24 hours, indexed or not"),
        ('[kafka]\nsecurity_protocol = "SASL_SSL"\n', "wrong kafka: SASL_SSL needs a login"),
        ('[kafka]\nusername = "u"\n', "look kafka: kafka.username is not used with PLAINTEXT"),
        (
            '[kafka]\nsecurity_protocol = "SASL_PLAINTEXT"\nsasl_mechanism = "PLAIN"\nusername = "u"\n',
            "look kafka: the password crosses the network unencrypted",
        ),
        ('[kafka]\nsecurity_protocol = "SSL"\nca_file = "/absent"\n', "wrong kafka: Cannot use the certificates"),
        ('[elasticsearch]\napi_key_file = "/absent"\n', "wrong elasticsearch: Cannot read api_key_file = /absent"),
        ('[elasticsearch]\napi_key = "k"\nusername = "u"\npassword = "p"\n', "look elasticsearch: both an API key"),
        ('[elasticsearch]\nusername = "u"\n', "look elasticsearch: the password of u is empty"),
        ('[elasticsearch]\nhosts = ["http://es:9200"]\napi_key = "k"\n', "the login crosses the network to http://es"),
        ('[elasticsearch]\nhosts = ["https://es:1"]\nverify_certs = false\n', "certificates are not verified"),
        ('[elasticsearch]\nca_file = "/absent"\n', "wrong elasticsearch: ca_file /absent cannot be read"),
        ('[kibana]\nurl = "http://k"\npassword_file = "/absent"\n', "wrong kibana: Cannot read password_file"),
        ('[shipper]\nstate_dir = "/dev/null"\n', "wrong state folder: /dev/null is no folder"),
        ("[indexer]\nslice_bytes = 200000000\n", "look indexer: indexer.slice_bytes is 191 MiB, more than Elastic"),
        ('[indexer]\nids = "auto"\n', "look indexer: indexer.ids is auto: what is sent again (after a crash, an"),
        ("", "look inputs: none: nothing would be shipped from here"),
    ],
)
def test_a_value_that_may_not_be_meant_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    """Each with a mark that says whether it can work."""
    assert sentence in "\n".join(findings(tmp_path, text))


def test_records_that_nobody_would_index_are_named(tmp_path: Path) -> None:
    """A topic that is not read, a stream that is not allowed."""
    more = '[indexer]\ntopics = ["other"]\nallowed_streams = ["logs-web-*"]\n'
    assert findings(tmp_path, with_input(tmp_path, "tailrace.toml", more)) == [
        "look indexer: shipper.topic tailrace.logs is not among indexer.topics",
        "wrong indexer: no pattern of indexer.allowed_streams allows logs-app-default",
    ]


def test_a_topic_that_filters_route_to_and_nobody_reads_is_named(tmp_path: Path) -> None:
    """A name or a pattern of indexer.topics is enough."""
    (tmp_path / "a.log").write_text("x\n")
    text = with_input(tmp_path, "*.log", "filters = [{ route = { topic = 'loud' } }]\n")
    assert findings(tmp_path, text) == ["look indexer: loud, where filters route to, is not among indexer.topics"]
    for topics in ('["tailrace.logs", "loud"]', '["tailrace.logs", "^lo"]'):
        assert findings(tmp_path, f"{text}[indexer]\ntopics = {topics}\n") == []


def test_a_typo_in_the_file_is_named_and_is_exit_code_2(tmp_path: Path) -> None:
    """One sentence, with the nearest known name."""
    file = tmp_path / "tailrace.toml"
    file.write_text('[kafka]\nbootstrap_server = ["127.0.0.1:9092"]\n')
    ended = subprocess.run(
        [TAILRACE, "check", "-c", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stderr == (f"Error: {file}: unknown key kafka.bootstrap_server; did you mean bootstrap_servers?\n")


def connected(stack: Stack, tmp_path: Path, more: str = "", **topics: str) -> list[Finding]:
    """What the servers' check finds with topics of the test's own."""
    text = (
        f'[kafka]\nbootstrap_servers = ["{stack.bootstrap_servers}"]\n'
        f'ledger_topic = "{topics["ledger"]}"\ndead_letter_topic = "{topics["dead"]}"\n'
        f'[elasticsearch]\nhosts = ["{stack.elasticsearch_url}"]\n'
        f'[shipper]\ntopic = "{topics["logs"]}"\n[indexer]\ntopics = ["{topics["logs"]}"]\n{more}'
    )
    return asyncio.run(check_servers.findings(settings_module.parse(text, str(tmp_path))))


@pytest.mark.edge
def test_topics_are_looked_at_one_by_one(stack: Stack, tmp_path: Path, names: str, make_topic: MakeTopic) -> None:
    """Leaders, permissions, what setup would change, and what is not there."""
    logs = make_topic(f"{names}.logs", 2, retention_ms="3600000")
    ledger = make_topic(f"{names}.ledger")
    found = connected(stack, tmp_path, logs=logs, ledger=ledger, dead=f"{names}.dead")
    said = {(one.mark, one.subject): one for one in found}
    assert said[Mark.OK, f"topic {logs}"].text == "2 partitions with a leader each, 1 replica, we may read and write"
    assert said[Mark.WRONG, f"topic {names}.dead"].next_step == "run `tailrace setup`"
    assert "retention.ms" in said[Mark.LOOK, f"topic {logs}"].text
    assert "cleanup.policy" in said[Mark.LOOK, f"topic {ledger}"].text
    assert said[Mark.OK, "kafka"].text.startswith("1 broker of cluster ")
    assert any(one.text == "security is off: everybody may do everything" for one in found)
    assert any("template" in one.subject + one.text for one in found)


def test_servers_that_are_away_are_told_one_by_one() -> None:
    """One does not hide the other; each with the next step."""
    away = settings_module.parse(
        '[kafka]\nbootstrap_servers = ["127.0.0.1:9"]\n[elasticsearch]\nhosts = ["http://127.0.0.1:9"]\n'
        '[kibana]\nurl = "http://127.0.0.1:9"\n'
    )
    found = asyncio.run(check_servers.findings(away))
    assert [(one.mark, one.subject) for one in found] == [
        (Mark.WRONG, "kafka"),
        (Mark.WRONG, "elasticsearch"),
        (Mark.WRONG, "kibana"),
    ]
    assert all(one.next_step for one in found)


def test_what_a_topic_lacks_is_named() -> None:
    """A partition without a leader, replicas that are behind, rights that are missing (KIP-430's bits)."""

    def topic(**changes: Any) -> list[Finding]:
        part = {"partition": 0, "leader": 1, "replicas": [1, 2], "isr": [1, 2]} | changes
        rights = changes.get("rights", 1 << 3 | 1 << 4)
        answer = {"topic": "t", "error_code": 0, "partitions": [part], "topic_authorized_operations": rights}
        return list(check_servers._topic(answer, ["read", "write"]))

    assert [one.mark for one in topic()] == [Mark.OK]
    assert "partition 0 of 1 has no leader" in topic(leader=-1)[0].text
    assert topic(isr=[1])[0].mark is Mark.LOOK
    assert [one.text for one in topic(rights=1 << 3)] == ["we may not write"]
    assert [one.text for one in topic(rights=-(2**31))] == ["1 partition with a leader each, 2 replicas"]


FEWER = "set replicas = 0 in [elasticsearch] and run `tailrace setup`"
PUT = 'of the indices that are there: PUT logs-*,metrics-*/_settings {"number_of_replicas": 0}'


@pytest.mark.parametrize(
    ("status", "nodes", "replicas", "text", "next_steps"),
    [
        ("green", 1, 0, "green, 1 node", []),
        ("green", 3, 1, "green, 3 nodes", []),
        ("green", 1, 1, "green, 1 node: no place for the 1 replica that elasticsearch.replicas wants", [FEWER]),
        ("yellow", 1, 1, "yellow, 1 node: 2 replicas have no place", [FEWER, PUT]),
        ("yellow", 1, 0, "yellow, 1 node: 2 replicas have no place", [PUT]),
        ("yellow", 3, 1, "yellow, 3 nodes: 2 replicas have no place", ["see GET _cluster/allocation/explain"]),
    ],
)
def test_replicas_without_a_place_are_told_with_the_setting(
    status: str, nodes: int, replicas: int, text: str, next_steps: list[str]
) -> None:
    """On one node none has a place: before the first index is made, too."""
    counts = {"number_of_nodes": nodes, "number_of_data_nodes": nodes, "unassigned_shards": 2}
    found = check_servers._health({"status": status, "cluster_name": "c", **counts}, replicas)
    assert found.text == f"cluster c is {text}"
    assert found.next_step == "; ".join([*next_steps, "or add a node"] if next_steps else [])
    assert found.mark is (Mark.LOOK if next_steps else Mark.OK)


@pytest.mark.parametrize(
    ("health", "mark"),
    [("green", Mark.OK), ("yellow", Mark.LOOK), ("red", Mark.WRONG)],
)
def test_elasticsearch_without_the_privileges_is_wrong(health: str, mark: Mark) -> None:
    """Against a small server that answers as the documented API does, for no licence-free server refuses privileges."""

    async def answer(request: web.Request) -> web.Response:
        header = {"X-Elastic-Product": "Elasticsearch"}
        if request.method == "GET" and "_template/" in request.path:
            return web.json_response({"error": {"type": "resource_not_found_exception"}}, status=404, headers=header)
        body: dict[str, Any] = {"template": {}}
        if request.path == "/_cluster/health":
            nodes = {"number_of_nodes": 3, "number_of_data_nodes": 3}
            body = {"status": health, **nodes, "cluster_name": "c", "unassigned_shards": 2}
        elif request.path == "/_security/user/_has_privileges":
            asked = (await request.json())["index"][0]
            granted = {name: {one: one != "create_doc" for one in asked["privileges"]} for name in asked["names"]}
            body = {
                "username": "shipper",
                "has_all_requested": False,
                "index": granted,
                "cluster": {},
                "application": {},
            }
        return web.json_response(body, headers=header)

    async def ask() -> list[Finding]:
        url, runner = await serve(answer)
        try:
            text = f'[elasticsearch]\nhosts = ["{url}"]\n[indexer]\nallowed_streams = ["logs-*-*"]\n'
            asked = settings_module.parse(text)
            return [one async for one in check_servers._elasticsearch(asked)]
        finally:
            await runner.cleanup()

    found = asyncio.run(ask())
    assert found[0].mark is mark
    assert (found[1].mark, found[1].text) == (Mark.WRONG, "we lack create_doc on logs-*-*")
    assert found[1].next_step == "give shipper a role with it"
    assert found[-1].next_step == "run `tailrace setup`"


@pytest.mark.parametrize(
    ("status", "mark", "said"),
    [
        ({"version": {"number": "8.19.0"}, "status": {"overall": {"level": "available"}}}, Mark.OK, "8.19.0 at"),
        ({"status": {"overall": {"level": "degraded"}}}, Mark.LOOK, "it says it is degraded"),
        ({"hello": "world"}, Mark.WRONG, "and no status"),
    ],
)
def test_kibana_says_how_it_is(status: dict[str, Any], mark: Mark, said: str) -> None:
    """Against a small server that answers as ``GET /api/status`` does."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(status if request.path == "/api/status" else {"saved_objects": []})

    async def ask() -> list[Finding]:
        url, runner = await serve(answer)
        try:
            return [one async for one in check_servers._kibana(settings_module.parse(f'[kibana]\nurl = "{url}"\n'))]
        finally:
            await runner.cleanup()

    found = asyncio.run(ask())
    assert found[0].mark is mark
    assert said in found[0].text.replace("it answers, and says", "it says")


async def serve(answer: Any) -> tuple[str, web.AppRunner]:
    """A server on a free port that answers everything with ``answer``."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    return f"http://127.0.0.1:{port}", runner


def test_json_has_all_findings(tmp_path: Path) -> None:
    """For programs, with the file that was read."""
    file = tmp_path / "tailrace.toml"
    file.write_text("")
    report = json.loads(check("-c", str(file), "--json").stdout)
    assert report["settings_file"] == str(file)
    assert report["ok"] is True
    assert {one["mark"] for one in report["findings"]} == {"ok", "look"}
