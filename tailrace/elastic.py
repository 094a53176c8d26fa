"""Settings to an Elasticsearch client (nodes, TLS, login), and a plain word on why no node answers it."""

from typing import Any

from elasticsearch import AsyncElasticsearch

from tailrace.causes import cause
from tailrace.errors import LOOK_CLOSER, FixSettings, ReachElasticsearch
from tailrace.settings import Elasticsearch, secret


def client(elastic: Elasticsearch, *, connections: int = 10) -> AsyncElasticsearch:
    """A client that never retries by itself: a hidden retry would make an outcome we must know of invisible.

    Raises:
        FixSettings: a secret or a certificate cannot be read, or goes with no address.
    """
    arguments: dict[str, Any] = {
        "hosts": elastic.hosts,
        "request_timeout": elastic.request_timeout_seconds,
        "max_retries": 0,
        "retry_on_timeout": False,
        "connections_per_node": connections,
    }
    if elastic.ca_file:
        arguments["ca_certs"] = elastic.ca_file
    if not elastic.verify_certs and any(host.startswith("https") for host in elastic.hosts):
        arguments |= {"verify_certs": False, "ssl_show_warn": False}
    api_key = secret(elastic, "api_key")
    if api_key:
        arguments["api_key"] = api_key
    elif elastic.username:
        arguments["basic_auth"] = (elastic.username, secret(elastic, "password"))
    try:
        return AsyncElasticsearch(**arguments)
    except (OSError, ValueError) as error:
        raise FixSettings(f"Cannot make a client of [elasticsearch]: {error}.") from error


def silence(elastic: Elasticsearch, error: BaseException) -> ReachElasticsearch:
    """Why no node answers, from what the client raised."""
    text, remedy = cause(error)
    return ReachElasticsearch(
        f"Elasticsearch does not answer at {', '.join(elastic.hosts)} ({text}); {remedy}{LOOK_CLOSER}"
    )
