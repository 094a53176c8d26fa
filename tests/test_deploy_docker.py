"""The container image, where an engine answers (there was none where this was written, so it has only been skipped)."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

import tailrace

pytestmark = pytest.mark.edge


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine that the environment names."""
    try:
        client = docker.from_env(timeout=600)
    except DockerException as error:
        pytest.skip(f"no container engine answers: {error}")
    with client.api:
        yield client


def test_the_image_has_the_command(engine: docker.DockerClient) -> None:
    """Built from the checkout, it runs and says its version."""
    image, _log = engine.images.build(
        path=str(Path(__file__).parent.parent), dockerfile="deploy/docker/Dockerfile", tag="tailrace:test", rm=True
    )
    said = engine.containers.run(image, ["--version"], remove=True)
    assert tailrace.__version__ in said.decode()
