"""`python -m benchmarks.attack`: the time of scrapes, over TLS with a password, while the exporter is attacked.

Each scrape uses a new connection. Scrapes are measured from the beginning of an attack on.
"""

import contextlib
import multiprocessing
import random
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import bcrypt

from benchmarks import attackers
from benchmarks.attackers import PASSWORD, USER, Attack, Target
from benchmarks.roots import many_objects
from benchmarks.subject import Subject
from exporter.demo import build_demo

_SCRAPES = 200
_BUDGET_MS = 100
_OBJECTS = 3000
_NEVER_READERS = 300
_GUESSES = 80
_TOGETHER: tuple[Attack, ...] = (
    attackers.nothing,
    attackers.idle,
    attackers.stalled_handshakes,
    attackers.slow_readers,
    attackers.wrong_passwords,
)
_ALONE: tuple[Attack, ...] = (
    attackers.slow_heads,
    attackers.slow_bodies,
    attackers.connections_in_sequence,
    attackers.handshakes,
    attackers.keen_readers,
    attackers.games,
    attackers.hostile_heads,
)
_LARGE: tuple[Attack, ...] = (attackers.nothing, attackers.slow_readers, attackers.slow_readers_of_gzip)


def main() -> None:
    """Print, for each attack, the times of scrapes and the growth of the serving process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        web = _web_config(scratch)
        build_demo(scratch / "demo")
        many_objects(scratch / "large", _OBJECTS)
        with _exporter(scratch / "demo", web) as (running, target), contextlib.ExitStack() as stack:
            print("One after the other, each on top of those before:")
            before = _resident(running)
            for attack in _TOGETHER:
                stack.enter_context(_under(attack, target, before, running))
        with _exporter(scratch / "demo", web) as (running, target):
            print("Each alone:")
            _each(_ALONE, target, running)
        with _exporter(scratch / "large", web) as (running, target):
            print(f"On a host with {_OBJECTS:,} images and as many containers:")
            _each(_LARGE, target, running)
            _print_memory(target, running)
        _print_users(scratch / "demo", web)


def _print_memory(target: Target, running: Subject) -> None:
    """Print what readers that never read hold, and what is left when they have gone."""
    print(f"{_NEVER_READERS} readers that never read, wave after wave:")
    before = _resident(running)
    for path in ("/metrics", "/api/v1/snapshot"):
        for wave in range(3):
            with attackers.never_readers(target, path, _NEVER_READERS):
                time.sleep(3)
                held = (_resident(running) - before) >> 20
            time.sleep(3)
            left = (_resident(running) - before) >> 20
            print(f"  {path:24} wave {wave + 1}: +{held} MB, then +{left} MB", flush=True)


def _print_users(root: Path, web: Path) -> None:
    """Print how long wrong passwords take for users with hashes of different costs, and for names of nobody."""
    hashes = {f"cost{cost}": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode() for cost in (5, 8, 10)}
    hashes[USER] = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    file = web.with_name("users.yml")
    users = "".join(f"  {name}: {hashed}\n" for name, hashed in hashes.items())
    file.write_text(f"tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users:\n{users}")
    print("The time of a wrong password, in relation to that of a name of nobody:")
    with _exporter(root, file) as (_, target):
        names = [*hashes, "nobody", "root", "x" * 1000]
        times: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(_GUESSES):  # in turn, so that whatever else runs slows all of them down
            for name in random.sample(names, len(names)):
                times[name] += attackers.seconds_to_refuse(target, name, 1)
        # The shorter half: what else runs on the machine only makes times longer.
        found = {name: statistics.mean(sorted(times[name])[: _GUESSES // 2]) for name in names}
        for name in names:
            print(f"  {name[:24]:24} {found[name] / found['nobody']:.3f}", flush=True)


def _each(attacks: tuple[Attack, ...], target: Target, running: Subject) -> None:
    before = _resident(running)
    for attack in attacks:
        with _under(attack, target, before, running):
            pass


@contextlib.contextmanager
def _exporter(root: Path, web: Path) -> Iterator[tuple[Subject, Target]]:
    """Start an exporter, and wait until its first scan is done. The password has been accepted once by then."""
    running = Subject(root, "--cache.file", "none", "--web.config.file", str(web))
    target = Target(int(running.url.rpartition(":")[2]), str(web.parent / "server.crt"))
    try:
        context = target.context()
        until = time.monotonic() + 120
        while (status := target.ask(context, path="/-/ready")) != HTTPStatus.OK:
            if time.monotonic() > until:
                raise RuntimeError(f"not ready: {status}")
            time.sleep(0.1)
        yield running, target
    finally:
        running.process.kill()
        running.process.wait()


@contextlib.contextmanager
def _under(attack: Attack, target: Target, before: int, running: Subject) -> Iterator[None]:
    """Begin an attack, measure scrapes during it and print their times. It ends with the block."""
    spawning = multiprocessing.get_context("spawn")
    ready = spawning.Event()
    attacker = spawning.Process(target=attackers.run, args=(attack, target, ready), daemon=True)
    attacker.start()
    try:
        context = target.context()
        times: list[float] = []
        while len(times) < _SCRAPES or not ready.is_set():
            start = time.perf_counter()
            if (status := target.ask(context)) != HTTPStatus.OK:
                raise RuntimeError(f"the scrape got {status}")
            times.append((time.perf_counter() - start) * 1000)
        times.sort()
        p99 = times[int(len(times) * 0.99)]
        met = "met" if p99 < _BUDGET_MS else "missed"
        grown = (_resident(running) - before) >> 20
        median = statistics.median(times)
        what = attack.__name__.replace("_", " ")
        print(
            f"  {what:24} p50 {median:5.1f} ms, p99 {p99:5.1f} ms ({met}), longest {times[-1]:5.1f} ms, +{grown} MB",
            flush=True,
        )
        yield
    finally:
        attacker.terminate()
        attacker.join()


def _web_config(scratch: Path) -> Path:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(scratch / "server.key"), "-out", str(scratch / "server.crt")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    file = scratch / "web.yml"
    file.write_text(
        f"tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{{USER}: {hashed}}}\n"
    )
    return file


def _resident(running: Subject) -> int:
    pages = Path(f"/proc/{running.process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


if __name__ == "__main__":
    main()
