"""Starts a private Docker engine and times `docker system df -v` on it."""

import contextlib
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.subject import subject

_IMAGES = 20
_FILES = 5000
_CONTAINERS = 30


def engine_seconds(scratch: Path) -> tuple[float | None, float | None, str]:
    """Seconds of `docker system df -v` and of a scrape of the same root, or why that is not possible."""
    if not all(map(shutil.which, ("dockerd", "docker", "busybox"))):
        return None, None, "no engine is installed"
    with tempfile.TemporaryDirectory(prefix="e-") as short:
        root = scratch / "engine"
        with engine_running(root, Path(short), "overlay2") as address:
            if address is None:
                return None, None, "the engine does not start here"
            _fill(address, Path(short))
            return _compare(address, root)


@contextlib.contextmanager
def engine_running(root: Path, short: Path, driver: str) -> Iterator[str | None]:
    """Run an engine on `root` for the length of a `with` block; its address, or None where it does not start.

    `short` is a directory with a short name: the path of a socket may not be long.
    """
    address = f"unix://{short}/s"
    command = ["dockerd", "--data-root", str(root), "--exec-root", f"{short}/x", "-H", address, "-p", f"{short}/p"]
    command += ["--iptables=false", "--ip6tables=false", "--bridge=none", f"--storage-driver={driver}"]
    daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield address if _answers(address) else None
    finally:
        daemon.terminate()
        daemon.wait(60)


def docker(address: str, *arguments: str, stdin: bytes | None = None) -> str:
    """Run a docker command; return its output. Raises RuntimeError with its error output."""
    done = subprocess.run(["docker", "-H", address, *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode:
        message = f"docker {' '.join(arguments)}: {(done.stderr or done.stdout).decode().strip()}"
        raise RuntimeError(message)
    return done.stdout.decode().strip()


def _answers(address: str) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if subprocess.run(["docker", "-H", address, "info"], capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(0.2)
    return False


def _fill(address: str, scratch: Path) -> None:
    """Make images with many files and containers that wrote some."""
    content = scratch / "content"
    (content / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", content / "bin/busybox")
    (content / "bin/sh").symlink_to("busybox")
    for number in range(_FILES):
        (content / f"file{number}").write_bytes(b"x" * 100)
    for number in range(_IMAGES):
        (content / "which").write_text(str(number))
        packed = subprocess.run(["tar", "-C", str(content), "-c", "."], capture_output=True, check=True).stdout
        docker(address, "import", "-", f"image{number}:1", stdin=packed)
    script = f"i=0; while [ $i -lt {_FILES} ]; do echo $i > /w$i; i=$((i+1)); done"
    for number in range(_CONTAINERS):
        docker(address, "run", "--network", "none", f"image{number % _IMAGES}:1", "/bin/sh", "-c", script)


def _compare(address: str, root: Path) -> tuple[float, float, str]:
    asked, scraped = [], []
    with subject(root, "--cache.file", "none") as running:
        running.ready()
        for _ in range(10):
            start = time.perf_counter()
            docker(address, "system", "df", "-v")
            asked.append(time.perf_counter() - start)
            start = time.perf_counter()
            running.get()
            scraped.append(time.perf_counter() - start)
    what = f"{_IMAGES} images and {_CONTAINERS} containers of {_FILES:,} files"
    return statistics.median(asked), statistics.median(scraped), what
