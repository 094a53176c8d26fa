"""A state folder to the command that runs Elasticsearch in it, and a port to whether its cluster is healthy."""

import http.client
import json
from pathlib import Path

from tailrace.files import shared
from tailrace.stack import machine


def heap(mib: int) -> list[str]:
    """The JVM options for a heap of this size."""
    return [f"-Xms{mib}m", f"-Xmx{mib}m"]


def resident_mib(heap_mib: int) -> int:
    """What it takes in RAM, heap included, when it has worked for a while."""
    return heap_mib + 350


def configure(folder: Path, log: Path, port: int) -> None:
    """Write its settings; the same folder with another port keeps its indices."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    values = {"@port@": str(port), "@data@": str(folder / "data"), "@logs@": str(log.parent), "@log@": str(log)}
    for name in ("elasticsearch.yml", "log4j2.properties"):
        text = (shared("deploy/stack/elasticsearch") / name).read_text()
        for key, value in values.items():
            text = text.replace(key, value)
        (folder / "config" / name).write_text(text)


def command(java: str, version: int, home: Path, folder: Path, *options: str) -> list[str]:
    """The command line of the node, with the JVM options of Elasticsearch's own start script that matter here."""
    server = home / "elasticsearch"
    security_manager = ["-Djava.security.manager=allow"]
    if version >= machine.JAVA_WITHOUT_SECURITY_MANAGER:
        security_manager = ["--enable-native-access=ALL-UNNAMED"]
    return [
        java,
        *options,
        *security_manager,
        # Its memory circuit breaker counts garbage too and knows how to hurry G1 alone.
        "-XX:+UseG1GC",
        "-XX:InitiatingHeapOccupancyPercent=30",
        "-XX:G1ReservePercent=25",
        "-Xss1m",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={folder}/java-crash-%p.log",
        f"-Djava.io.tmpdir={_made(folder / 'tmp')}",
        "-Djava.awt.headless=true",
        "-Dfile.encoding=UTF-8",
        "-Djna.nosys=true",
        "-Dio.netty.noUnsafe=true",
        "-Dio.netty.noKeySetOptimization=true",
        "-Dlog4j.shutdownHookEnabled=false",
        "-Dlog4j2.disable.jmx=true",
        f"-Des.path.home={server}",
        f"-Des.path.conf={folder / 'config'}",
        "-cp",
        f"{server / 'lib'}/*:{server / 'launcher'}",
        "StackElasticsearch",
    ]


def health(port: int, timeout_seconds: float = 2.0) -> str:
    """What the node on this port of the loopback address says of its cluster: green, yellow, red, or "" (no answer)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/_cluster/health")
        answer = connection.getresponse()
        return str(json.loads(answer.read()).get("status", "")) if answer.status == 200 else ""
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    finally:
        connection.close()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
