"""The rules of the house, kept by reading the code: who imports whom, what is pure, how long, how named."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for top in ("tailrace", "shipper", "indexer") for path in (ROOT / top).rglob("*.py"))
WIRING = ("shipper/agent.py", "indexer/service.py")
MAY_IMPORT_BOTH = ("tailrace/cli/", "tailrace/demo/", "tailrace/bench/", "tailrace/torture/")
"""The command line, and what runs the whole product: the demo and the measurements."""

CORE = (
    *("tailrace/record.py", "tailrace/watermark.py", "tailrace/backoff.py", "tailrace/errors.py", "tailrace/show.py"),
    *("tailrace/query.py", "tailrace/period.py", "tailrace/levels.py", "tailrace/ecs.py"),
    *("shipper/lines.py", "shipper/ecs.py", "shipper/identity.py", "shipper/plan.py"),
    *("indexer/documents.py", "indexer/slices.py", "indexer/bulk.py", "indexer/dead_letters.py"),
)
"""Pure whatever their docstrings say; besides, every module is that says "No I/O." in its first line."""

IMPURE = {
    *("asyncio", "concurrent", "threading", "multiprocessing", "subprocess", "signal", "time", "secrets"),
    *("os", "socket", "select", "shutil", "tempfile", "glob", "sqlite3", "urllib.request", "http"),
    *("logging", "structlog", "click", "rich", "aiokafka", "elasticsearch", "elastic_transport", "aiohttp", "watchdog"),
    *("prometheus_client",),
}
IMPURE_CALL = re.compile(r"^(open|print|input)$|^io\.open$|\.(now|utcnow|today)$|^random\.(?!Random$)")
"""Calls that read the clock, touch a file or roll dice; a seeded ``random.Random`` is a value."""

BANNED = re.compile(r"(?i)^(manager|handler|utils?|helpers?|event|batch|process(or)?|base|common|misc)s?$")
CLASS_BANNED = re.compile(r"(Manager|Handler|Utils?|Helper|Event|Processor|Process|Batch)$")
THEIR_WORDS = {
    "tailrace/stack/process.py": "the operating system's processes",
    "_Batch": "Kafka's record batches",
    "CloudEvent": "the CNCF's specification",
}
"""Banned words that are somebody else's: each with what it means there."""


def name_of(path: Path) -> str:
    """A module's path below the root, as rules name it."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(path.read_text("utf-8"))


@functools.cache
def imports(path: Path) -> list[str]:
    """Every name that a module imports, wherever in it the import stands, dotted and whole."""
    found: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)}: import by full names"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def first_line(path: Path) -> str:
    """The first line of a module's docstring; empty if it has none."""
    return (ast.get_docstring(tree_of(path)) or "").partition("\n")[0]


def is_core(path: Path) -> bool:
    """Whether a module promises to be pure; the demo's and the bench's pure parts may play with clocks and logs."""
    promises = first_line(path).endswith("No I/O.") and not name_of(path).startswith(MAY_IMPORT_BOTH)
    return name_of(path) in CORE or promises


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_halves_meet_only_in_the_command_line(path: Path) -> None:
    """The arrows are shipper → tailrace ← indexer: never between the halves, nor from what they share."""
    imported = {name.partition(".")[0] for name in imports(path)}
    top = name_of(path).partition("/")[0]
    if top == "tailrace":
        if not name_of(path).startswith(MAY_IMPORT_BOTH):
            assert not imported & {"shipper", "indexer"}
    else:
        assert not imported & ({"shipper", "indexer"} - {top})
        assert not any(name.startswith("tailrace.cli") for name in imports(path))


@pytest.mark.parametrize("path", [path for path in MODULES if is_core(path)], ids=name_of)
def test_core_modules_are_pure(path: Path) -> None:
    """Values in, values out: no clock, no file, no chance, no logging, no client; of edge modules only their types."""
    for name in imports(path):
        parts = name.split(".")
        assert not {".".join(parts[:length]) for length in range(1, len(parts) + 1)} & IMPURE, f"imports {name}"
        if parts[0] in ("tailrace", "shipper", "indexer") and not parts[-1][0].isupper():
            modules = [ROOT.joinpath(*some).with_suffix(".py") for some in (parts, parts[:-1])]
            edge = [module for module in modules if module.exists() and not is_core(module)]
            assert not edge, f"imports {name} of an edge module"
    called = [ast.unparse(node.func) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    assert [name for name in called if IMPURE_CALL.search(name)] == []


def test_the_listed_core_modules_are_there() -> None:
    """A rename must not take a module out of the rule."""
    assert [name for name in CORE if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_begins_with_what_it_turns_into_what(path: Path) -> None:
    """One line, a sentence."""
    line = first_line(path)
    assert line, "has no docstring"
    assert line[-1] in ".?", f"the first line does not end: {line}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_too_long(path: Path) -> None:
    """At most 400 lines; the wiring at most 150."""
    assert len(path.read_text("utf-8").splitlines()) <= (150 if name_of(path) in WIRING else 400)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_named_for_everything(path: Path) -> None:
    """No manager, handler, utils, event, batch or process, as a file or at the end of a class's name."""
    assert not BANNED.match(path.stem) or name_of(path) in THEIR_WORDS
    classes = [node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if CLASS_BANNED.search(name) and name not in THEIR_WORDS] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_daemon_swallows_everything(path: Path) -> None:
    """A broad ``except`` hides what nobody thought of, unless it raises again or hands the error to who waits.

    What calls formats of other packages must outlive whatever they raise.
    """
    broad = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not any(
            isinstance(inner, ast.Raise) or (isinstance(inner, ast.Attribute) and inner.attr == "set_exception")
            for inner in ast.walk(node)
        )
    ]
    assert broad == [] or name_of(path) in ("tailrace/daemon.py", "shipper/formats/foreign.py")


def test_tests_are_flat_and_say_what_they_promise() -> None:
    """A package tests/shipper/ would shadow shipper; a test's docstring is its promise."""
    assert not list((ROOT / "tests").glob("*/*.py"))
    assert not (ROOT / "tests/__init__.py").exists()
    silent = [
        f"{path.name}::{node.name}"
        for path in sorted((ROOT / "tests").glob("test_*.py"))
        for node in tree_of(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_test_sleeps_for_long() -> None:
    """A test waits for a condition with a deadline, never for a time; a poll's short pause is no wait."""
    slow = []
    for path in sorted((ROOT / "tests").glob("*.py")):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep"):
                (seconds,) = node.args[:1] or [ast.Constant(0)]
                if isinstance(seconds, ast.Constant) and isinstance(seconds.value, int | float) and seconds.value > 0.5:
                    slow.append(f"{path.name}:{node.lineno}")
    assert slow == []
