"""Imports parts of a library without the whole of it."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(module: str) -> Iterator[None]:
    """Have a module count as not installed for what is imported in here, unless it is loaded already."""
    unseen = module not in sys.modules
    if unseen:
        sys.modules[module] = None  # type: ignore[assignment] # as the import system has what cannot be imported
    try:
        yield
    finally:
        if unseen:
            del sys.modules[module]


@contextmanager
def parts_of(package: str) -> Iterator[None]:
    """Have modules of a package imported in here without what the package itself imports.

    `prometheus_client` imports an HTTP server and TLS, `structlog` asyncio: megabytes in each process, for what this
    program does not use. Raises ImportError where the package is not installed.
    """
    made = None
    if package not in sys.modules:
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)
        made = sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        if made is not None:  # whoever imports the package itself gets all of it
            del sys.modules[package]
