"""A real engine that builds, runs, logs and removes for a while, with Prometheus scraping every second.

`python -m benchmarks.soak --driver overlay2 --seconds 600`. It fails when a scrape fails, when the figures at
the end are not those of `du` and of a fresh process, when the log says anything worse than information, or
when memory has grown.
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.engine import docker, engine_running
from benchmarks.prometheus import scraping
from benchmarks.same import until_right
from benchmarks.subject import Subject, subject

_GROWTH = 1.1


class Churn:
    """Imports, builds, runs, logs and removes at random, the same each time."""

    def __init__(self, address: str, scratch: Path) -> None:
        self._address = address
        self._chance = random.Random(1)  # noqa: S311 - no secret
        self._content = scratch / "churn"
        (self._content / "bin").mkdir(parents=True)
        shutil.copy(shutil.which("busybox") or "", self._content / "bin/busybox")
        (self._content / "bin/sh").symlink_to("busybox")
        self.steps = 0

    def run(self, until: float) -> None:
        """Change the engine until a time of the monotonic clock."""
        while time.monotonic() < until:
            self.steps += 1
            image = self._image()
            self._start(image)
            if self.steps % 4 == 0:
                self._remove()

    def _image(self) -> str:
        """Make an image; every third one by a build of two layers."""
        number, chance = self.steps, self._chance
        image = f"image{number % 5}:{number}"
        (self._content / "data").write_bytes(chance.randbytes(chance.randrange(200_000)))
        packed = subprocess.run(["tar", "-C", str(self._content), "-c", "."], capture_output=True, check=True).stdout
        docker(self._address, "import", "-", image, stdin=packed)
        if number % 3 == 0:
            recipe = f'FROM {image}\nRUN ["/bin/sh", "-c", "echo {number} > /built"]\nLABEL number={number}\n'
            docker(self._address, "build", "--network", "none", "-t", image, "-", stdin=recipe.encode())
        return image

    def _start(self, image: str) -> None:
        """Run a container that writes, logs and ends; every fifth runs until it is removed."""
        number = self.steps
        script = f"i=0; while [ $i -lt 200 ]; do echo line $i; echo $i > /w$i; i=$((i+1)); done; echo x > /v/{number}"
        if number % 5 == 0:
            script += "; while :; do echo more >> /grows; echo more; /bin/busybox sleep 1; done"
        volume = ("-v", f"volume{number % 3}:/v")
        docker(self._address, "run", "-d", "--network", "none", *volume, image, "/bin/sh", "-c", script)

    def _remove(self) -> None:
        found = docker(self._address, "ps", "-aq").split()
        for container in found[: self._chance.randrange(len(found) + 1)]:
            docker(self._address, "rm", "-f", container)
        docker(self._address, "image", "prune", "-af")
        if self.steps % 8 == 0:
            docker(self._address, "volume", "prune", "-f")

    def stop(self) -> None:
        """Stop all containers."""
        for container in docker(self._address, "ps", "-q").split():
            docker(self._address, "stop", "-t", "1", container)


def watch(running: Subject, until: float, failures: list[str], memory: list[int]) -> None:
    """Scrape every second, as Prometheus does; note failures and memory."""
    while time.monotonic() < until:
        try:
            if running.sums()["up"] != 1:
                failures.append("up is not 1")
            memory.append(running.pss())
        except (OSError, KeyError) as error:
            failures.append(repr(error))
        time.sleep(1)


def main() -> None:
    """Run the soak test; exit with 1 if something was wrong."""
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
            with subject(root, "--cache.file", "none") as running, scraping(running.url, Path(directory)) as server:
                running.ready()
                until = time.monotonic() + chosen.seconds
                watcher = threading.Thread(target=watch, args=(running, until, failures, memory))
                watcher.start()
                churn = Churn(address, Path(short))
                churn.run(until)
                watcher.join()
                churn.stop()
                right_after = until_right(running, root, failures)
                failures += _complaints(running)
                scrapes = server.judge(failures)
                cpu = running.sums()["process_cpu_seconds_total"]
    third = len(memory) // 3
    early, late = (sorted(part)[len(part) // 2] for part in (memory[third : 2 * third], memory[2 * third :]))
    if late > _GROWTH * early:
        failures.append(f"memory grew from {early} to {late} bytes")
    print(
        f"{chosen.driver}, {chosen.seconds:.0f} s: {churn.steps} images and containers, {scrapes}, "
        f"memory {early / 1e6:.1f} to {late / 1e6:.1f} MB, {cpu:.0f} s of CPU, "
        f"right after {right_after:.0f} s, {len(failures)} failures"
    )
    for failure in failures:
        print(failure)
    sys.exit(bool(failures))


def _complaints(running: Subject) -> list[str]:
    """Lines of the log above level info, except that a layout is measured by directory only."""
    found = [line for line in running.lines if re.search(r"level=(warning|error|critical)|Traceback", line)]
    return [f"the log says {line.strip()}" for line in found if "event=layout.unmeasured" not in line]


if __name__ == "__main__":
    main()
