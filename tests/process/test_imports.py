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
        "import sys; from exporter.service.spawn import spawn_first; spawn_first()\n"
        "from exporter.service.start import load_asyncio; load_asyncio()\n"
        "import exporter.service.main\n"
        "unused = ('click', 'typing_extensions', 'ssl', '_ssl', 'http.server', 'email',\n"
        "          'prometheus_client.exposition', 'structlog.stdlib', 'rich',\n"
        "          'exporter.figures', 'exporter.inventory', 'exporter.measure')\n"
        "print([name for name in unused if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


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
