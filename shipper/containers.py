"""The path of a container's log to what it says of the container. No I/O.

The paths are those of the kubelet (``/var/log/pods``, and the links to them in ``/var/log/containers``) and of Docker's
json-file driver, below whatever folder the host's are mounted.
"""

import re

_NAME = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_POD = re.compile(
    rf"/pods/(?P<namespace>{_NAME})_(?P<pod>{_NAME})_(?P<uid>[0-9A-Za-z-]+)/(?P<container>{_NAME})/\d+\.log(?:\.[\w.-]+)?$",
    re.ASCII,
)
_LINK = re.compile(
    rf"/containers/(?P<pod>{_NAME})_(?P<namespace>{_NAME})_(?P<container>{_NAME})-(?P<id>[0-9a-f]{{64}})\.log(?:\.[\w.-]+)?$",
    re.ASCII,
)
_DOCKER = re.compile(r"/containers/(?P<id>[0-9a-f]{64})/(?P=id)-json\.log(?:\.[\w.-]+)?$", re.ASCII)
_FIELDS = {
    "namespace": "kubernetes.namespace",
    "pod": "kubernetes.pod.name",
    "uid": "kubernetes.pod.uid",
    "container": "kubernetes.container.name",
    "id": "container.id",
}


def container_of(path: str) -> dict[str, str]:
    """The fields that a path says, by their dotted names; empty where it is of no container."""
    found = _POD.search(path) or _LINK.search(path) or _DOCKER.search(path)
    return {} if found is None else {_FIELDS[name]: value for name, value in found.groupdict().items()}


def pod_names(fields: dict[str, str]) -> tuple[str, ...]:
    """What a pod may be called in the file of metadata: its uid, or its namespace and name."""
    if "kubernetes.pod.name" not in fields:
        return ()
    whole = f"{fields['kubernetes.namespace']}/{fields['kubernetes.pod.name']}"
    return (whole, *([fields["kubernetes.pod.uid"]] if "kubernetes.pod.uid" in fields else ()))
