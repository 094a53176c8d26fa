"""Importing the dashboards, against a small server that answers as Kibana's saved objects API documents it.

There is no Kibana among the servers that tests can start, so this server stands for it: ``_bulk_get`` answers 200 with
an ``error`` of status 404 in the place of each object that is not there; ``_import`` wants the header ``kbn-xsrf``, a
multipart ``file`` whose name ends in ``.ndjson``, answers 200 whatever became of the objects, and says ``success``,
``successCount`` and ``errors`` in the body. Like Kibana it migrates what it stores.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from indexer import provision_kibana
from indexer.changes import Act, Change
from indexer.provision import provision
from tailrace.errors import FixSettings, ReachKibana
from tailrace.settings import Elasticsearch, Indexer, Kafka, Kibana, Settings, Shipper
from tailrace.stack import Stack

NAMES = ["tailrace-logs", "tailrace-latest-lines", "tailrace-logs-overview"]


class FakeKibana:
    """One Kibana space; ``login`` is the Authorization header it wants, ``refuses`` the objects it does not import."""

    def __init__(self, path: str = "", login: str = "", refuses: str = "", status: int = 200) -> None:
        self.path = path
        self.login = login
        self.refuses = refuses
        self.status = status
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.imports = 0

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        application = web.Application()
        application.router.add_post(f"{self.path}/api/saved_objects/_bulk_get", self.bulk_get)
        application.router.add_post(f"{self.path}/api/saved_objects/_import", self.take)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def bulk_get(self, request: web.Request) -> web.Response:
        if refusal := self.refused(request):
            return refusal
        absent = {"statusCode": 404, "error": "Not Found", "message": "Saved object not found"}
        found = [self.objects.get((one["type"], one["id"])) or {**one, "error": absent} for one in await request.json()]
        return web.json_response({"saved_objects": found})

    async def take(self, request: web.Request) -> web.Response:
        if refusal := self.refused(request):
            return refusal
        assert request.query["overwrite"] == "true"
        part = await (await request.multipart()).next()
        assert part is not None
        assert part.name == "file"
        assert part.filename.endswith(".ndjson")
        self.imports += 1
        errors = []
        for line in (await part.read()).splitlines():
            one = json.loads(line)
            if one["id"] == self.refuses:
                error = {"type": "unknown", "message": "belongs to a more recent version of Kibana"}
                errors.append({"id": one["id"], "type": one["type"], "error": error})
                continue
            one["attributes"] |= {"panelsJSON": "[migrated]", "added": True}
            self.objects[one["type"], one["id"]] = {**one, "typeMigrationVersion": "10.3.0"}
        told: dict[str, Any] = {"success": not errors, "successCount": 3 - len(errors), "warnings": []}
        return web.json_response(told | ({"errors": errors} if errors else {}))

    def refused(self, request: web.Request) -> web.Response | None:
        if "kbn-xsrf" not in request.headers:
            return web.json_response(
                {"statusCode": 400, "message": "Request must contain a kbn-xsrf header."}, status=400
            )
        if self.login and request.headers.get("authorization") != self.login:
            return web.json_response({"statusCode": 401, "error": "Unauthorized"}, status=401)
        return web.json_response({"statusCode": self.status}, status=self.status) if self.status != 200 else None


def _run(fake: FakeKibana, *, dry_run: bool = False, **settings: str) -> list[Change]:
    async def run() -> list[Change]:
        async with fake.serve() as url, provision_kibana.connect(Kibana(url=f"{url}/", **settings)) as dashboards:
            changes = await dashboards.plan()
            if not dry_run:
                await dashboards.apply(changes, [])
            return changes

    return asyncio.run(run())


def test_what_is_missing_is_imported_once() -> None:
    """All objects in one file; a second run finds them, though Kibana has migrated them, and imports nothing."""
    fake = FakeKibana()
    assert [(change.act, change.name) for change in _run(fake)] == [(Act.CREATE, name) for name in NAMES]
    assert [change.act for change in _run(fake)] == [Act.KEEP] * 3
    assert fake.imports == 1


def test_what_people_edited_stays_when_another_object_is_imported() -> None:
    """A search that somebody deleted comes back, and the dashboard beside it stays as they made it."""
    fake = FakeKibana()
    _run(fake)
    (key,) = [one for one in fake.objects if one[1] == "tailrace-logs-overview"]
    fake.objects[key]["attributes"]["panelsJSON"] = "[theirs]"
    (search,) = [one for one in fake.objects if one[1] == "tailrace-latest-lines"]
    del fake.objects[search]
    assert [change.act for change in _run(fake)] == [Act.KEEP, Act.CREATE, Act.KEEP]
    assert fake.objects[key]["attributes"]["panelsJSON"] == "[theirs]"
    assert search in fake.objects


def test_a_dry_run_imports_nothing() -> None:
    """It only asks."""
    fake = FakeKibana()
    assert [change.act for change in _run(fake, dry_run=True)] == [Act.CREATE] * 3
    assert (fake.imports, fake.objects) == (0, {})


def test_an_older_object_is_replaced() -> None:
    """The mark in its description tells: a dashboard of an earlier tailrace is brought up to date."""
    fake = FakeKibana()
    _run(fake)
    fake.objects["dashboard", NAMES[2]]["attributes"]["description"] = "an earlier one"
    changes = _run(fake)
    assert [change.act for change in changes] == [Act.KEEP, Act.KEEP, Act.CHANGE]
    assert (changes[2].keys[0].name, changes[2].keys[0].before) == ("description", "an earlier one")
    assert [change.act for change in _run(fake)] == [Act.KEEP] * 3


def test_an_object_that_is_refused_is_told() -> None:
    """The answer's status is 200 all the same: the body says which object and why."""
    fake = FakeKibana(refuses=NAMES[2])
    with pytest.raises(ReachKibana, match=r"dashboard tailrace-logs-overview: belongs to a more recent.*Kibana 8\.8"):
        _run(fake)


def test_the_login_and_the_space() -> None:
    """Basic authentication or an API key, in the space that the settings name."""
    basic = "Basic " + base64.b64encode("kim:påss".encode()).decode()
    assert len(_run(FakeKibana("/s/ops", basic), space="ops", username="kim", password="påss")) == 3  # noqa: S106
    assert len(_run(FakeKibana("", "ApiKey abc"), api_key="abc")) == 3


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        (FakeKibana(login="Basic other"), "does not accept the login"),
        (FakeKibana(status=403), "Saved Objects Management"),
        (FakeKibana(status=503), r"answered 503 .*check that kibana\.url"),
        (FakeKibana("/s/other"), r"answered 404 .*kibana\.space exists"),
    ],
)
def test_a_refusal_is_one_sentence(fake: FakeKibana, said: str) -> None:
    """Wrong login, no privilege, not ready, no such space: each with its next step."""
    with pytest.raises(ReachKibana, match=said):
        _run(fake)


def test_kibana_away_is_one_sentence() -> None:
    """The address, what to check, and how to do without."""

    async def run() -> None:
        async with FakeKibana().serve() as url:
            pass
        async with provision_kibana.connect(Kibana(url=url)) as dashboards:
            await dashboards.plan()

    with pytest.raises(ReachKibana, match=r"does not answer .*leave kibana\.url empty"):
        asyncio.run(run())


@pytest.mark.edge
def test_setup_comes_to_kibana_last(stack: Stack, names: str) -> None:
    """With ``[kibana]`` set, one provision makes topics, templates and dashboards; a second finds nothing to do."""
    fake = FakeKibana()

    async def run() -> list[Change]:
        async with fake.serve() as url:
            settings = Settings(
                kafka=Kafka(
                    bootstrap_servers=[stack.bootstrap_servers],
                    ledger_topic=f"{names}.ledger",
                    dead_letter_topic=f"{names}.dead",
                ),
                elasticsearch=Elasticsearch(hosts=[stack.elasticsearch_url]),
                kibana=Kibana(url=url),
                shipper=Shipper(topic=f"{names}.logs"),
                indexer=Indexer(topics=[f"{names}.logs"], allowed_streams=[f"synthetics-{names}-*"]),
            )
            return await provision(settings, dry_run=False, prefix=names)

    assert [(change.act, change.name) for change in asyncio.run(run())[-3:]] == [(Act.CREATE, name) for name in NAMES]
    assert {change.act for change in asyncio.run(run())} == {Act.KEEP}
    assert fake.imports == 1


def test_a_certificate_that_cannot_be_read_is_named() -> None:
    """Before anything is sent."""
    with pytest.raises(FixSettings, match=r"kibana\.ca_file /nowhere"):
        _run(FakeKibana(), ca_file="/nowhere")
