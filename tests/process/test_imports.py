import subprocess
import sys


def test_what_serves_loads_nothing_that_only_the_terminal_needs() -> None:
    code = (
        "import sys, exporter.cli.main, exporter.service.scan_loop, exporter.measure.pool.worker_main\n"
        "print([name for name in ('rich', 'exporter.cli.commands.tables') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_tls_the_serving_process_has_no_library_for_it_and_nothing_that_reads_a_root() -> None:
    code = (
        "import sys, exporter.cli.main; from exporter.cli.run import load_asyncio; load_asyncio()\n"
        "import exporter.service.main\n"
        "unused = ('ssl', '_ssl', 'http.server', 'email', 'prometheus_client.exposition', 'structlog.stdlib', 'rich',\n"
        "          'exporter.figures', 'exporter.inventory', 'exporter.measure')\n"
        "print([name for name in unused if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
