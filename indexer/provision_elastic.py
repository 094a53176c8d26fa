"""Planned templates to templates on Elasticsearch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import msgspec
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from indexer import plan_templates
from indexer.changes import Act, Change
from indexer.plan_templates import FEATURES, Body, Feature, Template
from tailrace import elastic
from tailrace.errors import ReachElasticsearch
from tailrace.files import shared
from tailrace.settings import Settings

_JSON = {"accept": "application/json", "content-type": "application/json"}
_PROBED = {"index_patterns": ["synthetics-tailrace.probe-*"], "priority": 110, "data_stream": {}}
_PATHS = {"component template": "/_component_template/", "index template": "/_index_template/"}
_PLURALS = {"component template": "component_templates", "index template": "index_templates"}


class Templates:
    """The templates of one cluster: what the settings want, what is there, and the way from one to the other.

    Every error that leaves is a ``ReachElasticsearch``.
    """

    def __init__(self, client: AsyncElasticsearch, settings: Settings, prefix: str) -> None:
        self._client = client
        self._settings = settings
        self._prefix = prefix
        self._wanted: dict[str, Template] = {}

    async def plan(self) -> list[Change]:
        """Look at the cluster and at what it can do, change nothing."""
        with _translated(self._settings):
            lacks = await self._lacking()
            wanted = plan_templates.templates(shipped(), self._settings, lacks, self._prefix)
            self._wanted = {template.name: template for template in wanted}
            found = await asyncio.gather(*(self._look(template) for template in wanted))
        return [plan_templates.plan(*pair) for pair in zip(wanted, found, strict=True)]

    async def apply(self, changes: list[Change], done: list[Change]) -> None:
        """Make and replace templates as planned, in the order of the plan: components first."""
        with _translated(self._settings):
            for change in changes:
                if change.act is not Act.KEEP:
                    wanted = self._wanted[change.name]
                    await self._call("PUT", _PATHS[wanted.kind] + wanted.name, wanted.body)
                    done.append(change)

    async def _lacking(self) -> set[str]:
        """Names of the features that this cluster refuses, found by simulating templates: it stores nothing."""
        await self._call("POST", "/_index_template/_simulate", _PROBED)
        has = await asyncio.gather(*(self._accepts(feature) for feature in FEATURES))
        return {feature.name for feature, is_there in zip(FEATURES, has, strict=True) if not is_there}

    async def _accepts(self, feature: Feature) -> bool:
        try:
            await self._call("POST", "/_index_template/_simulate", {**_PROBED, "template": feature.probe})
        except ApiError as error:
            if error.meta.status == 400:
                return False
            raise
        return True

    async def _look(self, template: Template) -> Body | None:
        try:
            answer = await self._call("GET", _PATHS[template.kind] + template.name)
        except ApiError as error:
            if error.meta.status == 404:
                return None
            raise
        body: Body = answer[_PLURALS[template.kind]][0][template.kind.replace(" ", "_")]
        return body

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - the server's JSON
        return (await self._client.perform_request(method, path, headers=_JSON, body=body)).body


@contextlib.asynccontextmanager
async def connect(settings: Settings, prefix: str) -> AsyncIterator[Templates]:
    """Make a client for the nodes that the settings name; nothing is sent yet."""
    async with elastic.client(settings.elasticsearch) as client:
        yield Templates(client, settings, prefix)


def shipped() -> dict[str, Body]:
    """The template files that come with the product, by name without ``.json``."""
    folder = shared("dashboards") / "elasticsearch"
    return {path.stem: msgspec.json.decode(path.read_bytes()) for path in sorted(folder.glob("*.json"))}


@contextlib.contextmanager
def _translated(settings: Settings) -> Iterator[None]:
    """The client's errors to one sentence and a next step."""
    hosts = ", ".join(settings.elasticsearch.hosts)
    try:
        yield
    except ApiError as error:
        if error.meta.status == 401:
            raise ReachElasticsearch(
                f"Elasticsearch at {hosts} does not accept the login (401); check username and password, or api_key, "
                "in [elasticsearch]."
            ) from error
        if error.meta.status == 403:
            raise ReachElasticsearch(
                f"Elasticsearch at {hosts} forbids it (403); give this login the cluster privilege "
                "manage_index_templates."
            ) from error
        raise ReachElasticsearch(
            f"Elasticsearch at {hosts} refused a template ({error.meta.status}): {_reason(error.body)}"
        ) from error
    except TransportError as error:
        raise elastic.silence(settings.elasticsearch, error) from error


def _reason(body: Any) -> str:  # noqa: ANN401 - the server's JSON, or text from a proxy between
    """The innermost reason of an error, which is the one that says what is wrong."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return plan_templates.refusal(str(body))
    while isinstance(error.get("caused_by"), dict):
        error = error["caused_by"]
    return plan_templates.refusal(str(error.get("reason")))
