"""A package's compiled module, where there is one that its Python was written for. No I/O."""

import importlib
from typing import Any


def built(package: str, interface: int) -> Any:  # noqa: ANN401 - its stub has the types
    """``package._native``; None if it was built without a compiler, or is one that another version left behind."""
    try:
        module = importlib.import_module(f"{package}._native")
    except ImportError:
        return None
    return module if getattr(module, "INTERFACE", 0) == interface else None
