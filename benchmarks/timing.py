"""Times programs: the exporter's first scan, and those that it is compared with."""

import subprocess
import sys
import time
from pathlib import Path


def seconds(command: list[str]) -> float:
    """How long a program runs."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def du_seconds(root: Path) -> float:
    """How long `du -s` takes."""
    return seconds(["du", "-s", str(root)])


def scan_seconds(root: Path) -> tuple[float, float]:
    """Seconds of the first scan alone, by the exporter's own metric, and of the whole command `once`."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "exporter", "once", "--root", str(root)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    whole = time.perf_counter() - start
    lines = [line for line in text.splitlines() if line.startswith("docker_storage_scan_duration_seconds{")]
    return max(float(line.split()[-1]) for line in lines), whole
