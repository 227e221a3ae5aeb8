"""Whether a running exporter serves what a fresh process finds on the same root."""

import subprocess
import sys
from pathlib import Path

from tests.support.exporter import Exporter
from tests.support.product import Samples

_OWN = (
    *("scan_", "scans_", "watch", "audit_", "process_", "initial_", "snapshot_", "build_info", "filesystem_", "web_"),
    *("scanner_", "sandbox_", "time_seconds"),
)


def objects(text: str) -> set[str]:
    """The samples that tell of the data root, and not of the exporter."""
    lines = (line.removeprefix("docker_storage_") for line in text.splitlines() if not line.startswith("#"))
    return {line for line in lines if not line.startswith(_OWN)}


def fresh(root: Path) -> set[str]:
    command = [sys.executable, "-m", "exporter", "once", "--root", str(root)]
    return objects(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def becomes_as_fresh(running: Exporter, root: Path) -> Samples:
    """Wait until the figures are those of a fresh process on the same root."""
    expected = fresh(root)

    def same(figures: Samples) -> bool:
        found = objects(figures.text)
        return found == expected and len(found) > 20

    try:
        return running.until(same)
    except AssertionError:
        assert objects(running.figures().text) == expected
        raise
