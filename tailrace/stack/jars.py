"""Maven coordinates to a folder both servers run from, downloaded and compiled once for all stacks of a user."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tailrace.errors import StackFailed
from tailrace.files import shared
from tailrace.stack import machine

KAFKA = "4.1.0"
ELASTICSEARCH = "8.19.0"

Progress = Callable[[str, int, int], None]
"""Called with what is being done now, how many steps are done, and of how many."""

_INPUTS = (
    "kafka/pom.xml",
    "elasticsearch/pom.xml",
    "transport-netty4/pom.xml",
    "launcher/StackElasticsearch.java",
)


def home(progress: Progress) -> Path:
    """The folder with ``kafka/*.jar`` and a home of Elasticsearch, assembled first if it is not there.

    Two runs at once do not collide: one assembles behind a lock, in a folder that gets its name when it is complete.
    """
    final = cache() / version()
    if final.is_dir():
        return final
    progress("looking for the servers' jars", 0, 4)  # said before the wait for another run that downloads them
    with _locked(final.parent / f"{final.name}.lock"):
        if not final.is_dir():
            _assemble(final, progress)
    return final


def cache() -> Path:
    """Where assembled homes are kept: ``$XDG_CACHE_HOME/tailrace/stack``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tailrace" / "stack"


def version() -> str:
    """Changes when a pom or the launcher does, so that a newer tailrace never runs an older home."""
    digest = hashlib.sha256()
    for name in _INPUTS:
        digest.update((shared("deploy/stack") / name).read_bytes())
    return f"kafka-{KAFKA}-elasticsearch-{ELASTICSEARCH}-{digest.hexdigest()[:8]}"


def _assemble(final: Path, progress: Progress) -> None:
    machine.java()
    machine.javac()
    machine.maven()
    making = Path(tempfile.mkdtemp(prefix=f"{final.name}.", dir=final.parent))
    try:
        server = making / "elasticsearch"
        progress(f"downloading Kafka {KAFKA} (once)", 0, 4)
        _copy_jars("kafka", making / "kafka")
        progress(f"downloading Elasticsearch {ELASTICSEARCH} (once)", 1, 4)
        _copy_jars("elasticsearch", server / "lib")
        progress("downloading Elasticsearch's transport (once)", 2, 4)
        module = server / "modules" / "transport-netty4"
        _copy_jars("transport-netty4", module)
        _make_module(module, {jar.name for jar in (server / "lib").iterdir()})
        progress("compiling the launcher (once)", 3, 4)
        _compile(server)
        (server / "plugins").mkdir()
        making.chmod(0o755)
        making.rename(final)
        progress("the servers are here", 4, 4)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _copy_jars(name: str, into: Path) -> None:
    into.mkdir(parents=True)
    pom = shared("deploy/stack") / name / "pom.xml"
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}", "-DincludeScope=runtime"]
    _run(
        [machine.maven(), "-q", "-B", "-f", str(pom), *goal],
        f"Maven could not download {name}; is there a network, and a mirror in ~/.m2/settings.xml where one is needed?",
    )


def _make_module(module: Path, in_lib: set[str]) -> None:
    """A folder of jars to a module: none twice, and the descriptor moved from its jar to where it is looked for."""
    for jar in module.iterdir():
        if jar.name in in_lib:
            jar.unlink()
    with zipfile.ZipFile(module / f"{module.name}-{ELASTICSEARCH}.jar") as packed:
        text = packed.read(f"META-INF/es-plugins/{module.name}/plugin-descriptor.properties").decode()
    # "modulename" would want the jars on the module path.
    kept = [line for line in text.splitlines() if line and not line.startswith(("#", "modulename="))]
    (module / "plugin-descriptor.properties").write_text("\n".join(kept) + "\n")


def _compile(server: Path) -> None:
    release = ["--release", str(machine.JAVA_AT_LEAST)]
    source = shared("deploy/stack") / "launcher" / "StackElasticsearch.java"
    _run(
        [machine.javac(), *release, "-cp", f"{server / 'lib'}/*", "-d", str(server / "launcher"), str(source)],
        f"javac could not compile the launcher; it wants a JDK {machine.JAVA_AT_LEAST} or newer",
    )


def _run(command: list[str], what_failed: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise StackFailed(f"{what_failed}\n{said}")


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
