"""Whether a running exporter says what `du` and a fresh process say of the same root."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.subject import Subject

#: How long after the last change the figures may take to be right: until the next audit.
_RIGHT_SECONDS = 90.0
#: Metrics on the exporter itself, which differ between processes.
_OWN = (
    *("scan_", "scans_", "watch", "audit_", "process_", "initial_", "snapshot_", "build_info", "filesystem_", "web_"),
    *("scanner_", "sandbox_", "time_seconds"),
)


def until_right(running: Subject, root: Path, failures: list[str], *flags: str) -> float:
    """Compare with du and a fresh process until nothing differs; return the seconds that it took.

    `flags` are those of the fresh process. What differs when there is no more time goes to `failures`.
    """
    start = time.monotonic()
    while wrong := _wrong(running, root, flags):
        if time.monotonic() - start > _RIGHT_SECONDS:
            failures += wrong
            break
        time.sleep(1)
    return time.monotonic() - start


def _wrong(running: Subject, root: Path, flags: tuple[str, ...]) -> list[str]:
    """The differences to a fresh process and to du."""
    ours = _figures(running.get().decode())
    command = [sys.executable, "-m", "exporter", "once", "--root", str(root), *flags]
    fresh = _figures(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    wrong = [f"only the exporter says {line}" for line in sorted(ours - fresh)[:20]]
    wrong += [f"only a fresh process says {line}" for line in sorted(fresh - ours)[:20]]
    done = subprocess.run(["du", "-sx", "--block-size=1", str(root)], capture_output=True, check=True)
    by_du, sums = int(done.stdout.split()[0]), running.sums().get("directory_allocated_bytes", 0.0)
    return wrong + ([f"du says {by_du}, the exporter {sums:.0f} bytes"] if by_du != sums else [])


def _figures(text: str) -> set[str]:
    lines = (line.removeprefix("docker_storage_") for line in text.splitlines() if not line.startswith("#"))
    return {line for line in lines if not line.startswith(_OWN)}
