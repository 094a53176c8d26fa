"""Planned saved objects to saved objects in Kibana."""

import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp

from indexer import plan_dashboards
from indexer.changes import Act, Change
from indexer.plan_dashboards import SavedObject
from tailrace.causes import cause
from tailrace.errors import FixSettings, ReachKibana
from tailrace.files import shared
from tailrace.settings import Kibana, secret

_TIMEOUT = aiohttp.ClientTimeout(total=60)
_ABSENT = 404


class Dashboards:
    """The saved objects of one Kibana space: what we ship, what is there, and the way from one to the other.

    Every error that leaves is a ``ReachKibana``.
    """

    def __init__(self, session: aiohttp.ClientSession, kibana: Kibana) -> None:
        self._session = session
        self._kibana = kibana
        self._base = kibana.url.rstrip("/") + (f"/s/{kibana.space}" if kibana.space else "")
        self._wanted = {(one["type"], one["id"]): one for one in shipped()}

    async def plan(self) -> list[Change]:
        """Look at what Kibana has, change nothing."""
        asked = [{"type": kind, "id": name} for kind, name in self._wanted]
        answer = await self._post("/api/saved_objects/_bulk_get", json=asked)
        found = {(one["type"], one["id"]): self._seen(one) for one in answer.get("saved_objects", [])}
        return [plan_dashboards.plan(wanted, found.get(key)) for key, wanted in self._wanted.items()]

    async def apply(self, changes: list[Change], done: list[Change]) -> None:
        """Import what differs in one file, since these refer to each other; what people edited in others stays."""
        wanted = zip(changes, self._wanted.values(), strict=True)
        differing = [one for change, one in wanted if change.act is not Act.KEEP]
        if not differing:
            return
        form = aiohttp.FormData()
        lines = plan_dashboards.ndjson(differing)
        form.add_field("file", lines, filename="tailrace.ndjson", content_type="application/ndjson")
        answer = await self._post("/api/saved_objects/_import?overwrite=true", data=form)
        # The status is 200 whatever became of the objects: the body tells.
        if not answer.get("success"):
            refused = "; ".join(_refusal(error) for error in answer.get("errors", [])) or "it gave no reason"
            raise ReachKibana(
                f"Kibana at {self._kibana.url} did not import every object ({refused}); Kibana 8.8 or newer is needed, "
                "and the login must be allowed to manage saved objects."
            )
        done.extend(change for change in changes if change.act is not Act.KEEP)

    def _seen(self, one: SavedObject) -> SavedObject | None:
        error = one.get("error")
        if not error:
            return one
        if error.get("statusCode") == _ABSENT:
            return None
        raise ReachKibana(
            f"Kibana at {self._kibana.url} cannot show {one['type']} {one['id']} ({error.get('message')}); check what "
            "the login in [kibana] may read."
        )

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - json or data, as aiohttp takes them
        with _translated(self._kibana):
            async with self._session.post(self._base + path, **body) as response:
                text = await response.text()
                if response.status == 401:
                    raise ReachKibana(
                        f"Kibana at {self._kibana.url} does not accept the login (401); check username and password, "
                        "or api_key, in [kibana]."
                    )
                if response.status == 403:
                    raise ReachKibana(
                        f"Kibana at {self._kibana.url} forbids it (403); give this login the privilege Saved Objects "
                        f"Management{f' in the space {self._kibana.space}' if self._kibana.space else ''}."
                    )
                answer = await response.json(content_type=None) if response.status == 200 else None
                if not isinstance(answer, dict):
                    raise ReachKibana(
                        f"Kibana at {self._kibana.url} answered {response.status} ({text[:200]}); check that "
                        "kibana.url is Kibana's own address and kibana.space exists."
                    )
                return answer


@contextlib.asynccontextmanager
async def connect(kibana: Kibana) -> AsyncIterator[Dashboards]:
    """Make a session for the Kibana that the settings name; nothing is sent yet.

    Raises:
        FixSettings: the certificate or a secret cannot be read.
    """
    headers = {"kbn-xsrf": "tailrace"}
    api_key = secret(kibana, "api_key")
    if api_key:
        headers["Authorization"] = f"ApiKey {api_key}"
    elif kibana.username:
        login = f"{kibana.username}:{secret(kibana, 'password')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    try:
        trusted = ssl.create_default_context(cafile=kibana.ca_file) if kibana.ca_file else True
    except OSError as error:
        raise FixSettings(f"Cannot use kibana.ca_file {kibana.ca_file}: {error}.") from error
    connector = aiohttp.TCPConnector(ssl=trusted)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=_TIMEOUT) as session:
        yield Dashboards(session, kibana)


def shipped() -> list[SavedObject]:
    """The saved objects that come with the product."""
    files = sorted((shared("dashboards") / "kibana").glob("*.ndjson"))
    return [one for path in files for one in plan_dashboards.marked(path.read_bytes())]


def _refusal(error: dict[str, Any]) -> str:
    reason = error.get("error") or {}
    return f"{error.get('type')} {error.get('id')}: {reason.get('message') or reason.get('type')}"


@contextlib.contextmanager
def _translated(kibana: Kibana) -> Iterator[None]:
    """The client's errors to one sentence and a next step."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ReachKibana(
            f"Kibana at {kibana.url} does not answer ({cause(error).text}); check that it runs and that kibana.url is "
            "right, or leave kibana.url empty to do without dashboards."
        ) from error
