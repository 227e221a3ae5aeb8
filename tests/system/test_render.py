import subprocess
from pathlib import Path

from exporter.expose.metrics.families import families
from exporter.expose.metrics.render import render
from exporter.expose.metrics.status import status_families
from exporter.figures.figures import Figures
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.product import needs
from tests.support.roots import graph_root


def _page(tmp_path: Path) -> bytes:
    built = graph_root(tmp_path).image("base", size=3, tag="base:1").container("c\n", image="base")
    with LocalPool() as pool:
        scanner = Scanner(str(built.path), 600, pool)
        snapshot = scanner.scan()
    made = [*families(Figures(snapshot)), *status_families(snapshot, scanner.counters)]
    return render(made, "text")


@needs("promtool")
def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=_page(tmp_path), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
