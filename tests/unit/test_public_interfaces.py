"""The exporter uses what libraries document, and nothing that a next release may take away without a word."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import TOP

_MODULES = sorted((TOP / "exporter").rglob("*.py"))
#: Whose classes the web server may not extend: every method of theirs can be one that the library calls itself.
_WITHOUT_SUBCLASSES = ("asyncio", "ssl", "socket", "h11")
#: Public in spite of its name.
_DOCUMENTED = ("os._exit",)


def _private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def _own(tree: ast.Module) -> set[str]:
    """The private names that a module gives to things of its own."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            names.add(node.attr)
    return names


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def _libraries(tree: ast.Module) -> dict[str, str]:
    """The names that stand for a library's module, or something in one, and which library that is."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(one.asname or one.name.partition(".")[0], one.name) for one in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [(one.asname or one.name, node.module or "") for one in node.names]
        else:
            continue
        names |= {name: module.partition(".")[0] for name, module in found if not module.startswith("exporter")}
    return names


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def found(text: str, *, web: bool = True) -> list[str]:
    """What a module's text does that depends on the inside of a library, with its line."""
    tree = ast.parse(text)
    own, libraries = _own(tree), _libraries(tree)
    return [f"{line}: {what}" for node in ast.walk(tree) for line, what in _faults(node, own, libraries, web=web)]


def _faults(node: ast.AST, own: set[str], libraries: dict[str, str], *, web: bool) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Attribute):
        if _private(node.attr) and node.attr not in own and ast.unparse(node) not in _DOCUMENTED:
            yield node.lineno, f"private member {node.attr}"
        if isinstance(node.ctx, ast.Store | ast.Del) and _root(node) in libraries:
            yield node.lineno, f"changes {_root(node)}"
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((node.lineno, what) for what in _imports(node, web=web))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"getattr", "setattr"}:
        yield from ((node.lineno, what) for what in _by_name(node, libraries))
    elif isinstance(node, ast.ClassDef) and web:
        extended = (base for base in node.bases if libraries.get(_root(base)) in _WITHOUT_SUBCLASSES)
        yield from ((node.lineno, f"extends {ast.unparse(base)}") for base in extended)


def _imports(node: ast.Import | ast.ImportFrom, *, web: bool) -> Iterator[str]:
    within = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    for module in (within + one.name for one in node.names):
        if any(map(_private, module.split("."))) and not module.startswith("exporter."):
            yield f"private module {module}"
        if web and module.partition(".")[0] == "ctypes":
            yield "ctypes"


def _by_name(node: ast.Call, libraries: dict[str, str]) -> Iterator[str]:
    name = node.args[1]
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and _private(name.value):
        yield f"private member {name.value}"
    if ast.unparse(node.func) == "setattr" and _root(node.args[0]) in libraries:
        yield f"changes {_root(node.args[0])}"


@pytest.mark.parametrize("path", _MODULES, ids=[str(one.relative_to(TOP)) for one in _MODULES])
def test_a_module_depends_on_no_inside_of_a_library(path: Path) -> None:
    assert found(path.read_text(), web="web" in path.parts) == []


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\ntransport._ssl_protocol._write_backlog",
        "import asyncio.sslproto\nasyncio.sslproto.SSLProtocol.max_size = 1",
        "from asyncio import sslproto\nsetattr(sslproto, 'max_size', 1)",
        "import ssl\ndel ssl.SSLSocket.send",
        "import _ssl",
        "from h11._connection import Connection",
        "from h11 import _events",
        "getattr(connection, '_receive_buffer')",
        "import ctypes",
        "from ctypes import CDLL",
        "def f():\n    import ctypes.util",
        "import asyncio\nclass A(asyncio.SelectorEventLoop): pass",
        "from h11 import Connection\nclass A(Connection): pass",
        "import ssl\nclass A(ssl.SSLSocket): pass",
        "class A:\n    def f(self):\n        return self._sslobj",
    ],
)
def test_what_does_is_found(text: str) -> None:
    assert found(text)


def test_what_is_a_module_s_own_is_not() -> None:
    own = "class A:\n    def __init__(self):\n        self._x = 1\n    def _f(self, other):\n        return other._x\n"
    assert found(own + "A()._f(A().__class__)\n") == []
