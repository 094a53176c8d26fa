"""The build's part that hatchling leaves to us: the hot loops' C to a module each, where there is a compiler.

One build for every Python from 3.11 on (the stable ABI). Without a compiler, or Python's headers, the wheel is one of
Python alone, and slower; ``TAILRACE_NATIVE=require`` makes that a failure, ``TAILRACE_NATIVE=no`` asks for it.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_MODULES = {"shipper/c": "shipper/_native.abi3.so", "indexer/c": "indexer/_native.abi3.so"}
_FLAGS = ("-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")


class Compiled(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the compiled modules into a wheel, or beside their packages for an editable installation."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the files are collected."""
        wish = os.environ.get("TAILRACE_NATIVE", "")
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        editable = version == "editable"
        if editable:
            for module in _MODULES.values():
                (root / module).unlink(missing_ok=True)  # of an older version: better none than another
        if wish == "no":
            return
        self._folder = tempfile.TemporaryDirectory()
        made = {module: Path(self._folder.name) / module.replace("/", ".") for module in _MODULES.values()}
        try:
            for sources, module in _MODULES.items():
                _compile(root / sources, made[module])
        except (OSError, subprocess.CalledProcessError) as error:
            if wish == "require":
                raise
            sys.stderr.write(f"tailrace: no C compiler or no headers of Python, so without compiled code ({error})\n")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"
        for module, file in made.items():
            if editable:
                shutil.copyfile(file, root / module)
            else:
                build_data["force_include"][str(file)] = module


def _compile(folder: Path, made: Path) -> None:
    """By the compiler that is named, or the one that Python itself was made by, or whichever there is."""
    extra = shlex.split(os.environ.get("CFLAGS", ""))
    sources = sorted(str(path) for path in folder.glob("*.c"))
    include = f"-I{sysconfig.get_path('include')}"
    named = os.environ.get("CC")
    compilers = [named] if named else [sysconfig.get_config_var("CC") or "cc", "cc"]
    for compiler in compilers:
        if shutil.which(shlex.split(compiler)[0]) or compiler == compilers[-1]:
            subprocess.run([*shlex.split(compiler), *_FLAGS, *extra, include, *sources, "-o", str(made)], check=True)
            return
