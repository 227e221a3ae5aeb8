"""A real engine that builds, runs, logs and removes for a while, with the exporter scraped every second.

`python -m benchmarks.soak --driver overlay2 --seconds 600`. It fails when a scrape fails, when the figures
at the end are not those of `du`, or when memory has grown.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.engine import docker, engine_running
from benchmarks.subject import Subject, subject

_GROWTH = 1.3


def churn(address: str, scratch: Path, until: float) -> None:
    """Import, build, run, log and remove at random."""
    chance = random.Random(1)  # noqa: S311 - the same churn each time
    content = scratch / "churn"
    (content / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", content / "bin/busybox")
    (content / "bin/sh").symlink_to("busybox")
    number = 0
    while time.monotonic() < until:
        number += 1
        (content / "data").write_bytes(chance.randbytes(chance.randrange(200_000)))
        packed = subprocess.run(["tar", "-C", str(content), "-c", "."], capture_output=True, check=True).stdout
        docker(address, "import", "-", f"image{number % 5}:{number}", stdin=packed)
        script = f"i=0; while [ $i -lt 200 ]; do echo line $i; echo $i > /w$i; i=$((i+1)); done; echo x > /v/{number}"
        volume = ("-v", f"volume{number % 3}:/v")
        docker(
            address, "run", "-d", "--network", "none", *volume, f"image{number % 5}:{number}", "/bin/sh", "-c", script
        )
        if number % 4 == 0:
            stopped = docker(address, "ps", "-aq", "--filter", "status=exited").split()
            for container in stopped[: chance.randrange(len(stopped) + 1)]:
                docker(address, "rm", "-f", container)
            docker(address, "image", "prune", "-af")


def scrape(running: Subject, until: float, failures: list[str], memory: list[int]) -> None:
    """Scrape every second, and note what fails and how much memory there is."""
    while time.monotonic() < until:
        try:
            if running.sums()["up"] != 1:
                failures.append("up is not 1")
            memory.append(running.pss())
        except (OSError, KeyError) as error:
            failures.append(str(error))
        time.sleep(1)


def main() -> None:
    """Run the soak; exit with 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", default="overlay2")
    parser.add_argument("--seconds", type=float, default=600)
    chosen = parser.parse_args()
    failures: list[str] = []
    memory: list[int] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as directory, tempfile.TemporaryDirectory(prefix="e-") as short:
        root = Path(directory) / "root"
        with engine_running(root, Path(short), chosen.driver) as address:
            if address is None:
                sys.exit("no engine can be started here")
            with subject(root, "--cache.file", "none") as running:
                running.ready()
                until = time.monotonic() + chosen.seconds
                scraper = threading.Thread(target=scrape, args=(running, until, failures, memory))
                scraper.start()
                churn(address, Path(short), until)
                scraper.join()
                for container in docker(address, "ps", "-q").split():
                    docker(address, "stop", "-t", "1", container)
                failures += _wrong(running, root)
    third = len(memory) // 3
    early, late = max(memory[third : 2 * third]), max(memory[2 * third :])
    if late > _GROWTH * early:
        failures.append(f"memory grew from {early} to {late} bytes")
    print(f"{len(memory)} scrapes, memory {early / 1e6:.1f} to {late / 1e6:.1f} MB, {len(failures)} failures")
    for failure in failures:
        print(failure)
    sys.exit(bool(failures))


def _wrong(running: Subject, root: Path) -> list[str]:
    """Compare with du, for as long as an audit may take to come round."""
    until = time.monotonic() + 90
    while True:
        done = subprocess.run(["du", "-sx", "--block-size=1", str(root)], capture_output=True, check=True)
        by_du, ours = int(done.stdout.split()[0]), running.sums()["directory_allocated_bytes"]
        if by_du == ours:
            return []
        if time.monotonic() > until:
            return [f"du says {by_du}, the exporter {ours:.0f} bytes"]
        time.sleep(1)


if __name__ == "__main__":
    main()
