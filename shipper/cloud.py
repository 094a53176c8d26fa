"""The cloud's metadata service to fields that say where this machine runs."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 1.0
_MOST_BYTES = 1_048_576


def cloud_fields(provider: str, url: str) -> dict[str, str]:
    """Ask the service of a provider, ``aws``, ``gcp`` or ``azure``, at that address.

    Raises:
        OSError: it does not answer within a second, or not as that service does.
    """
    try:
        fields = {"aws": _aws, "gcp": _gcp, "azure": _azure}[provider](url)
    except (http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OSError(f"its answer cannot be understood: {type(error).__name__}: {error}") from error
    return {"cloud.provider": provider, **{name: str(value) for name, value in fields.items() if value}}


def _aws(url: str) -> dict[str, Any]:
    """Version 2 of the service, which wants a token first."""
    token = _asked(url, "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}).decode("ascii")
    headers = {"X-aws-ec2-metadata-token": token}
    told = json.loads(_asked(url, "GET", "/latest/dynamic/instance-identity/document", headers))
    return {
        "cloud.account.id": told["accountId"],
        "cloud.region": told["region"],
        "cloud.availability_zone": told["availabilityZone"],
        "cloud.instance.id": told["instanceId"],
        "cloud.machine.type": told["instanceType"],
    }


def _gcp(url: str) -> dict[str, Any]:
    told = json.loads(_asked(url, "GET", "/computeMetadata/v1/?recursive=true", {"Metadata-Flavor": "Google"}))
    zone = told["instance"]["zone"].rpartition("/")[2]
    return {
        "cloud.project.id": told["project"]["projectId"],
        "cloud.region": zone.rpartition("-")[0],
        "cloud.availability_zone": zone,
        "cloud.instance.id": told["instance"]["id"],
        "cloud.machine.type": told["instance"]["machineType"].rpartition("/")[2],
    }


def _azure(url: str) -> dict[str, Any]:
    told = json.loads(_asked(url, "GET", "/metadata/instance/compute?api-version=2021-02-01", {"Metadata": "true"}))
    return {
        "cloud.account.id": told["subscriptionId"],
        "cloud.region": told["location"],
        "cloud.availability_zone": told.get("zone"),
        "cloud.instance.id": told["vmId"],
        "cloud.machine.type": told["vmSize"],
    }


def _asked(url: str, method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """What it answers; never by a proxy: the address is of this machine alone."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_SECONDS)
    try:
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read(_MOST_BYTES)
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise OSError(f"it answers {answer.status} to {path}")
    return body
