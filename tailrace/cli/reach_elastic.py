"""Settings to an open Elasticsearch client, whose failures are sentences for the operator."""

import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import elastic_transport
import elasticsearch

from tailrace import elastic
from tailrace.errors import LOOK_CLOSER, FixSettings, ReachElasticsearch
from tailrace.settings import Settings

_MOST_CALLS = 4000
"""Elasticsearch stores 1,000 levels; Python by itself reads, walks and writes fewer."""
FOR_NOW = (429, 502, 503, 504)
"""What passes by itself (RFC 6585 and 9110)."""


@contextlib.asynccontextmanager
async def elasticsearch_client(settings: Settings) -> AsyncIterator[elasticsearch.AsyncElasticsearch]:
    """A client that is closed at the end; until then documents of any depth can be looked into.

    Raises:
        FixSettings: the settings of ``[elasticsearch]`` cannot make a client.
        ReachElasticsearch: no node answers, or it refuses us.
    """
    try:
        client = elastic.client(settings.elasticsearch)
    except (ValueError, OSError) as error:
        raise FixSettings(f"[elasticsearch] cannot be used: {error}.") from error
    hosts = ", ".join(settings.elasticsearch.hosts)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(_MOST_CALLS)
    try:
        yield client
    except elasticsearch.ApiError as error:
        raise ReachElasticsearch(refusal(error, hosts)) from error
    except elastic_transport.TransportError as error:
        raise elastic.silence(settings.elasticsearch, error) from error
    finally:
        sys.setrecursionlimit(before)
        await client.close()


def refusal(error: elasticsearch.ApiError, hosts: str) -> str:
    """A refusal of Elasticsearch as one sentence with the next step."""
    if error.status_code == 401:
        return f"Elasticsearch at {hosts} does not know us (401); check username, password or api_key."
    if error.status_code == 403:
        return f"Elasticsearch at {hosts} does not allow this (403): {cause(error)}; give the user the privilege."
    if error.status_code in FOR_NOW:
        return (
            f"Elasticsearch at {hosts} cannot answer now ({error.status_code}: {cause(error)}): it starts, recovers or "
            f"has too much to do; try again in a minute.{LOOK_CLOSER}"
        )
    return f"Elasticsearch at {hosts} refused ({error.status_code}: {cause(error)}); its log says more."


def cause(error: elasticsearch.ApiError) -> str:
    """The innermost reason that Elasticsearch gives, its first line without a full stop."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error") or str(error)
    if not isinstance(inner, dict):
        return innermost({"reason": str(inner)})
    shards = inner.get("failed_shards") or [{}]
    return innermost(shards[0].get("reason") or (inner.get("root_cause") or [inner])[0])


def innermost(reason: dict[str, Any]) -> str:
    """Of a reason with ``caused_by`` in it the innermost one, its first line without a full stop."""
    while reason.get("type") != "parse_exception" and isinstance(reason.get("caused_by"), dict):
        reason = reason["caused_by"]
    return str(reason.get("reason") or reason.get("type") or "no reason given").split("\n", 1)[0].rstrip(". ")
