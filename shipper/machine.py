"""This machine, and what the settings say of it, to what documents carry of it."""

import fcntl
import json
import platform
import re
import socket
import struct
import tomllib
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import structlog

from shipper.cloud import cloud_fields
from shipper.constants import Surroundings
from shipper.leaves import leaves
from tailrace.errors import FixSettings
from tailrace.settings import Host

_MOST_ADDRESSES = 16
_SIOCGIFADDR = 0x8915
"""Linux: the IPv4 address of an interface (netdevice(7))."""
_NO_MAC = "00:00:00:00:00:00"


def surroundings(host: Host) -> Surroundings:
    """Look at the machine as the settings want it: once, at the start.

    Raises:
        FixSettings: the file of metadata cannot be used.
    """
    fields, pods = _metadata(host.metadata_file) if host.metadata_file else ({}, {})
    cloud: dict[str, str] = {}
    if host.cloud != "off":
        try:
            cloud = cloud_fields(host.cloud, host.cloud_url)
        except OSError as error:
            structlog.get_logger().warning(
                "the cloud's metadata service does not answer; documents will not say cloud.*",
                cloud=host.cloud,
                url=host.cloud_url,
                reason=error.strerror or str(error),
            )
    return Surroundings(details() if host.details else {}, {**cloud, **fields, **host.fields}, pods)


def details() -> dict[str, Any]:
    """What goes into ``host`` beside its name, as Elastic's agents send it."""
    release = _os_release()
    system = {
        "type": "linux",
        "platform": release.get("ID", ""),
        "family": release.get("ID_LIKE", release.get("ID", "")).partition(" ")[0],
        "name": release.get("NAME", ""),
        "version": release.get("VERSION_ID", ""),
        "kernel": platform.release(),
    }
    addresses = [*_ipv4(), *_ipv6()][:_MOST_ADDRESSES]
    found = {
        "hostname": socket.gethostname(),
        "id": _read("/etc/machine-id").strip(),
        "architecture": platform.machine(),
        "ip": addresses,
        "mac": sorted(set(_macs()))[:_MOST_ADDRESSES],
        "os": {key: value for key, value in system.items() if value},
    }
    return {key: value for key, value in found.items() if value}


def _metadata(file: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The fields of a file, and those of pods: ``{"fields": {…}, "pods": {"namespace/name": {…}}}``, also as TOML."""
    try:
        text = Path(file).read_text("utf-8")
        tree = json.loads(text) if file.endswith(".json") else tomllib.loads(text)
    except OSError as error:
        raise FixSettings(
            f"host.metadata_file: cannot read {file}: {error.strerror}; put it there, readable."
        ) from error
    except ValueError as error:
        kind = "JSON" if file.endswith(".json") else "TOML"
        raise FixSettings(f"host.metadata_file: {file} is not valid {kind}: {error}.") from error
    if not isinstance(tree, dict) or not tree.keys() <= {"fields", "pods"}:
        raise FixSettings(f"host.metadata_file: {file} may have the tables fields and pods, and nothing else.")
    pods = tree.get("pods", {})
    for table in (tree.get("fields", {}), pods, *(pods.values() if isinstance(pods, dict) else ())):
        if not isinstance(table, dict):
            raise FixSettings(f"host.metadata_file: fields, pods and each pod in {file} must be tables of fields.")
    return _plain(tree.get("fields", {})), {name: _plain(fields) for name, fields in pods.items()}


def _plain(tree: dict[str, Any]) -> dict[str, Any]:
    """Dotted names and values that JSON has: a date of TOML becomes text."""
    return {
        name: value if isinstance(value, str | int | float | list) else str(value)
        for name, value in leaves(tree)
        if value is not None and value != {}
    }


def _os_release() -> dict[str, str]:
    """What os-release(5) says."""
    text = _read("/etc/os-release") or _read("/usr/lib/os-release")
    return {key: value.strip("\"'") for key, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)}


def _ipv4() -> Iterator[str]:
    """The first address of each interface that has one, but for the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asked, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue
            address = socket.inet_ntoa(answer[20:24])
            if not address.startswith("127."):
                yield address


def _ipv6() -> Iterator[str]:
    for line in _read("/proc/net/if_inet6").splitlines():
        address = IPv6Address(int(line.split()[0], 16))
        if not address.is_loopback:
            yield str(address)


def _macs() -> Iterator[str]:
    """As ECS writes them, of RFC 7042: capitals and hyphens."""
    for _, name in socket.if_nameindex():
        address = _read(f"/sys/class/net/{name}/address").strip()
        if len(address) == len(_NO_MAC) and address != _NO_MAC:
            yield address.upper().replace(":", "-")


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
