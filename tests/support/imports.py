"""Which module of the package imports which, read from the sources: nothing is loaded."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_LOADERS = {"import_module", "__import__"}


@dataclass(frozen=True)
class Sources:
    """The modules of one package, by dotted name."""

    package: str
    files: Mapping[str, Path]

    def room(self, module: str) -> str:
        """The package that a module is in, without the outermost name: `a.b` for `exporter.a.b.c`.

        A package's own `__init__` is in it. `__main__` and `__init__` of the outermost package are rooms of their own.
        """
        inside = module if self.files[module].name == "__init__.py" else module.rpartition(".")[0]
        if inside == self.package:
            return self.files[module].stem
        return inside.removeprefix(self.package + ".")

    def imports(self, module: str) -> set[str]:
        """The modules that one imports: anywhere in the file, for types alone too, and by name in a string.

        To import `a.b.c` is to import `a` and `a.b`, unless the importing module is in these itself.
        """
        path = self.files[module]
        inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found: set[str] = set()
        for name in _names(path, inside):
            parts = name.split(".")
            ends = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
            known = [end for end in ends if end in self.files]
            found.update(known[-1:])
            found.update(end for end in known if not f"{module}.".startswith(f"{end}."))
        return found - {module}


def read_sources(package: Path) -> Sources:
    """Find the modules of a package."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return Sources(package.name, files)


@cache
def _names(path: Path, inside: str) -> frozenset[str]:
    """The dotted names that a file imports or has in a string; raises ValueError where one is made at run time."""
    return frozenset(_found(ast.parse(path.read_text()), inside))


def _found(tree: ast.Module, inside: str) -> Iterator[str]:
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = inside.split(".")[: len(inside.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from re.findall(r"(?<![\w./-])\w+(?:\.\w+)+", node.value)
        elif isinstance(node, ast.Call) and _called(node) in _LOADERS and not _is_constant(node):
            raise ValueError(f"line {node.lineno}: the name of an imported module is made at run time")


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_constant(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant)
