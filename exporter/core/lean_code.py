"""Loads modules without their docstrings, for processes that stay: nobody reads these there, and they are a megabyte.

As `python -OO` does, but for one process, and without files compiled for it. Assertions stay.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from opcode import opmap
from types import CodeType

#: Of a function: CO_OPTIMIZED and CO_NEWLOCALS.
_FUNCTION = 0x3
_LOAD, _STORE = opmap["LOAD_CONST"], opmap["STORE_NAME"]
#: Instructions that have the first constant. Of a function with a docstring that is it, and no instruction has it.
_FIRST = tuple(bytes((opmap[name], 0)) for name in ("LOAD_CONST", "RETURN_CONST", "KW_NAMES") if name in opmap)
#: The docstring of a class or a module is stored within so many bytes from the beginning.
_HEAD_BYTES = 64


class _LeanLoader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        code = super().get_code(fullname)
        return None if code is None else without_docstrings(code)


def load_lean() -> None:
    """Load modules without docstrings from now on."""
    loaders = (ExtensionFileLoader, EXTENSION_SUFFIXES), (_LeanLoader, SOURCE_SUFFIXES)
    sys.path_hooks.insert(0, FileFinder.path_hook(*loaders))
    sys.path_importer_cache.clear()


def without_docstrings(code: CodeType) -> CodeType:
    """The same code without the docstrings of functions, classes and the module. In doubt one stays."""
    constants = [without_docstrings(one) if isinstance(one, CodeType) else one for one in code.co_consts]
    at = _of_function(code) if code.co_flags & _FUNCTION == _FUNCTION else _of_namespace(code)
    if at is not None and isinstance(constants[at], str):
        constants[at] = None
    return code.replace(co_consts=tuple(constants))


def _of_function(code: CodeType) -> int | None:
    """The place of the docstring among the constants. Lambdas and comprehensions have none."""
    if not code.co_consts or code.co_name.startswith("<"):
        return None
    return None if any(first in code.co_code for first in _FIRST) else 0


def _of_namespace(code: CodeType) -> int | None:
    if "__doc__" not in code.co_names:
        return None
    head, name = code.co_code[:_HEAD_BYTES], code.co_names.index("__doc__")
    at = next((at for at in range(2, len(head) - 1, 2) if head[at] == _STORE and head[at + 1] == name), None)
    return head[at - 1] if at is not None and head[at - 2] == _LOAD else None
