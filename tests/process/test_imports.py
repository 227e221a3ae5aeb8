import os
import subprocess
import sys

import pytest


def test_what_serves_loads_nothing_that_only_the_terminal_needs() -> None:
    code = (
        "import sys, exporter.cli.main, exporter.service.scan_loop, exporter.measure.pool.worker_main\n"
        "print([name for name in ('rich', 'exporter.cli.commands.tables') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_tls_the_serving_process_has_no_library_for_it_and_nothing_that_reads_a_root() -> None:
    code = (
        "import sys; from exporter.core.put_off import _Later, put_off; put_off()\n"
        "from exporter.service.spawn import spawn_first; spawn_first()\n"
        "from exporter.service.start import load_asyncio; load_asyncio()\n"
        "import exporter.service.main\n"
        "unused = ('click', 'typing_extensions', 'ssl', '_ssl', 'http.server', 'email',\n"
        "          'prometheus_client.exposition', 'structlog.stdlib', 'rich',\n"
        "          'exporter.figures', 'exporter.inventory', 'exporter.measure')\n"
        "print([name for name in unused if name in sys.modules])\n"
        "put_off = ('inspect', 'asyncio.sslproto', 'ipaddress', 'locale', 'ctypes.util', 'msgspec.inspect', 'uuid')\n"
        "print([name for name in put_off if not isinstance(sys.modules[name], _Later)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"


def test_threads_that_need_a_module_at_once_get_the_same() -> None:
    code = """
import sys, threading
from exporter.core.put_off import put_off
put_off()
import inspect
found, together = [], threading.Barrier(8)
def ask():
    together.wait()
    found.append(inspect.Signature)
threads = [threading.Thread(target=ask) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
print(found == [sys.modules['inspect'].Signature] * 8)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("without", "loaded"),
    [("", False), ("import os; os.fork = lambda: os.open('/nonexistent', os.O_RDONLY)", True)],
    ids=["in a copy", "no process can be made"],
)
def test_what_serves_has_no_command_line_where_that_is_read_in_a_copy(without: str, loaded: bool) -> None:
    code = f"""
import sys
{without}
import exporter.service.main
async def serve(config, *_):
    print(config.root, config.shown.intermediate, 'click' in sys.modules)
exporter.service.main.serve = serve
from exporter.__main__ import main
main()
"""
    words = [sys.executable, "-c", code, "run", "--root", "/nonexistent/\udcff", "--collector.images.intermediate"]
    done = subprocess.run(words, capture_output=True, check=True)
    assert done.stdout.decode(errors="surrogateescape").split() == ["/nonexistent/\udcff", "True", str(loaded)]


def test_a_launcher_is_copied_before_anything_large_is_loaded() -> None:
    code = """
import sys
import exporter.service.launcher
def start_copy():
    print([name for name in ('typing', 're', 'msgspec', 'asyncio', 'threading') if name in sys.modules])
    raise SystemExit
exporter.service.launcher.start_copy = start_copy
from exporter.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, "run"], capture_output=True, text=True, check=False, env=_path()
    )
    assert done.stdout == "[]\n", done.stderr


def _path() -> dict[str, str]:
    """Without `site`, which loads what is installed beside this."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def test_a_library_is_heard_though_logging_was_put_off() -> None:
    code = """
import sys
from exporter.core.put_off import put_off
put_off()
from exporter.service.start import load_asyncio
asyncio = load_asyncio()
from exporter.core import log
log.configure("info", "logfmt")
async def nothing():
    asyncio.get_running_loop().call_exception_handler({"message": "the loop says", "exception": ValueError("why")})
asyncio.run(asyncio.sleep(0))
assert type(sys.modules["logging"]).__name__ == "_Later", "nothing was said"
asyncio.run(nothing())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'level=error event="the loop says"' in done.stderr, done.stderr
    assert "ValueError: why" in done.stderr
