import subprocess
import sys


def test_what_serves_loads_nothing_that_only_the_terminal_needs() -> None:
    code = (
        "import sys, exporter.cli.main, exporter.service.scan_loop, exporter.measure.pool.worker_main\n"
        "print([name for name in ('rich', 'msgspec', 'exporter.cli.commands.tables') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
