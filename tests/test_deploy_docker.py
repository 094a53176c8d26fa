"""The container image, where an engine answers (there was none where this was written, so it has only been skipped)."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

import tailrace

pytestmark = pytest.mark.edge


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine on this machine; its socket is tried first, since a client that fails leaks its own."""
    path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            pytest.skip(f"no container engine answers at {path}: {error.strerror}")
    client = docker.from_env(timeout=600)
    yield client
    client.close()


def test_the_image_has_the_command(engine: docker.DockerClient) -> None:
    """Built from the checkout, it runs and says its version."""
    image, _log = engine.images.build(
        path=str(Path(__file__).parent.parent), dockerfile="deploy/docker/Dockerfile", tag="tailrace:test", rm=True
    )
    said = engine.containers.run(image, ["--version"], remove=True)
    assert tailrace.__version__ in said.decode()
