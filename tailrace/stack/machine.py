"""This machine to a Java, a free port and enough memory, or one sentence that says which is missing."""

import os
import re
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from tailrace.errors import StackFailed

JAVA_AT_LEAST = 17
JAVA_WITHOUT_SECURITY_MANAGER = 24


def java() -> str:
    """The path of the ``java`` to run the servers with: that of ``$JAVA_HOME``, else the first on ``$PATH``."""
    found = _tool("java")
    if found is None:
        raise StackFailed(
            f"no Java was found: install Java {JAVA_AT_LEAST} or newer"
            f" (Debian: openjdk-{JAVA_AT_LEAST}-jdk-headless), or set JAVA_HOME"
        )
    return found


def java_version(program: str) -> int:
    """The feature release of a ``java``, for example 17."""
    answer = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    spoken = re.search(r'version "(\d+)', answer.stderr)
    if answer.returncode != 0 or spoken is None:
        raise StackFailed(f"{program} does not run: {_last_line(answer.stderr)}; set JAVA_HOME to a working Java")
    version = int(spoken[1])
    if version < JAVA_AT_LEAST:
        raise StackFailed(
            f"{program} is Java {version} and the servers want {JAVA_AT_LEAST} or newer: install one, or set JAVA_HOME"
        )
    return version


def javac() -> str:
    """The path of ``javac``, which compiles the launcher once."""
    found = _tool("javac")
    if found is None:
        raise StackFailed(
            "Java is here but its compiler, javac, is not: install a JDK"
            f" (Debian: openjdk-{JAVA_AT_LEAST}-jdk-headless), or set JAVA_HOME to one; it is wanted only once"
        )
    return found


def maven() -> str:
    """The path of ``mvn``, which downloads the jars once."""
    found = shutil.which("mvn")
    if found is None:
        raise StackFailed(
            "Maven (mvn) was not found, and the servers' jars are not here yet:"
            " install it (Debian: maven); it is wanted only once"
        )
    return found


def free_port() -> int:
    """A port of the loopback address that is free at this moment.

    Below those the kernel gives to outgoing connections: one of these could take the port while its server is down,
    and a client that tries the dead server again and again could even meet itself.
    """
    for _ in range(1000):
        port = 20000 + secrets.randbelow(12000)
        if _refusal(port) is None:
            return port
    raise StackFailed("no free port was found between 20000 and 32000: see what listens there with ss -ltn")


def require_free(port: int, title: str, option: str) -> None:
    """Raise unless a server can listen on this port of the loopback address."""
    refusal = _refusal(port)
    if refusal is not None:
        raise StackFailed(
            f"{title} cannot listen on port {port} ({refusal}):"
            f" stop what listens there, or give another port with {option}"
        )


def require_memory(wanted_mib: int, titles: str) -> None:
    """Raise if the machine has less memory to give than the servers that are to be started will take."""
    available = _available_mib()
    if available is not None and available < wanted_mib:
        raise StackFailed(
            f"too little memory for {titles}: {wanted_mib} MiB wanted, {available} MiB available;"
            " end something, or give Elasticsearch a smaller --heap"
        )


def tail(file: Path, lines: int = 15) -> str:
    """The last lines of a text file, or nothing if it is not there; reads no more than 64 KiB."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, opened.seek(0, os.SEEK_END) - 65536))
            text = opened.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _tool(name: str) -> str | None:
    home = os.environ.get("JAVA_HOME", "")
    if home and (program := shutil.which(name, path=str(Path(home) / "bin"))):
        return program
    return shutil.which(name)


def _refusal(port: int) -> str | None:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
            trial.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return None


def _available_mib() -> int | None:
    try:
        spoken = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(spoken[1]) // 1024 if spoken else None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]
