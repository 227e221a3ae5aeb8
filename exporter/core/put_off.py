"""Modules that libraries import and hardly ever use: each is loaded when something of it is asked for.

Without this, a megabyte of each process that stays is code that nothing calls, and each start takes a tenth longer.
"""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module as _import  # of the names in the table below
from types import ModuleType

_CO_COROUTINE = 0x80
_lock = threading.Lock()
#: What is to be done when a module is loaded.
_afterwards: dict[str, Callable[[], object]] = {}


class _Later(ModuleType):
    """Stands where a module will be once it is needed."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # `from module import name` looks for the path of a package
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


def _load(name: str) -> ModuleType:
    with _lock:
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]
    loaded = _import(name)
    if (then := _afterwards.pop(name, None)) is not None:
        then()
    return loaded


def _is_coroutine_function(found: object) -> bool:
    """As that of `inspect`, of a function or a method."""
    code = getattr(found, "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _CO_COROUTINE)


def _signature(found: object, **options: object) -> object:
    """As that of `inspect`, but that those of classes are empty: dataclasses make docstrings of them."""
    if isinstance(found, type):
        return ""
    return _load("inspect").signature(found, **options)


def _annotations(found: object, **options: object) -> object:
    """As that of `inspect`; it is not needed for those of a class as they are written."""
    if isinstance(found, type) and not options:
        return dict(found.__annotations__)
    return _load("inspect").get_annotations(found, **options)


class _Silent:
    """Stands for the logger of a library, which hardly ever has something to say that is heard: warnings and errors."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, *_: object, **__: object) -> None:
        """Nobody hears it."""

    info = debug

    def __getattr__(self, name: str) -> object:
        return getattr(_load("logging").getLogger(self._name), name)


class _NoUuid:
    """Stands for the types of `uuid`."""

    unknown = None


_NOTHING: Mapping[str, object] = {}
#: Who imports each, and what of it is used at the start: that much it has.
_MODULES: Mapping[str, Mapping[str, object]] = {
    # asyncio, which asks of each signal's handler whether it is a coroutine; dataclasses
    "inspect": {
        "iscoroutinefunction": _is_coroutine_function,
        "signature": _signature,
        "get_annotations": _annotations,
    },
    # asyncio: TLS, which this program does itself
    "asyncio.sslproto": {},
    # asyncio, watchdog, structlog
    "logging": {"getLogger": _Silent, "DEBUG": 10},
    # asyncio; also what starts workers, which is not the process that serves
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
    # urllib.parse: addresses of IPv6 in a URL
    "ipaddress": {},
    # subprocess: text from pipes
    "locale": {},
    # watchdog
    "ctypes.util": {},
    # linecache: the lines of a traceback
    "tokenize": {},
    # msgspec: a type that nothing here has
    "uuid": {"UUID": _NoUuid, "SafeUUID": _NoUuid},
    # msgspec: to describe types
    "msgspec.inspect": {},
    "msgspec._json_schema": {"schema": None, "schema_components": None},
}


def put_off(*more: str) -> None:
    """Have these modules and `more` loaded when they are needed. To be called before anything imports one."""
    for name, known in {**_MODULES, **dict.fromkeys(more, _NOTHING)}.items():
        if name not in sys.modules:
            later = sys.modules[name] = _Later(name)
            vars(later).update(known)


def when_loaded(name: str, then: Callable[[], object]) -> None:
    """Do something now; where a module is put off, when it is loaded."""
    if isinstance(sys.modules.get(name), _Later):
        _afterwards[name] = then
    else:
        then()


def load_what_needs_rights() -> None:
    """Load them now where this process may read them only as long as it has CAP_DAC_READ_SEARCH."""
    if not _may_read(os.path.dirname(os.__file__)):
        for name in [name for name, module in sys.modules.items() if isinstance(module, _Later)]:
            _load(name)


def _may_read(directory: str) -> bool:
    """Whether this process' user and groups alone allow to read the files in a directory."""
    groups = {os.getegid(), *os.getgroups()}
    at, wanted = os.path.realpath(directory), os.R_OK | os.X_OK
    while True:
        status = os.stat(at)
        shift = 6 if status.st_uid == os.geteuid() else 3 if status.st_gid in groups else 0
        if status.st_mode >> shift & wanted != wanted:
            return False
        if at == "/":
            return True
        at, wanted = os.path.dirname(at), os.X_OK
