"""`python -m benchmarks.attack`: what a scrape takes, over TLS with a password, while the exporter is attacked."""

import base64
import contextlib
import http.client
import resource
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt

from benchmarks.subject import Subject
from exporter.demo import build_demo

_SCRAPES = 100
_BUDGET_MS = 100
_IDLE = 500
_STALLED = 200
_SLOW = 50
_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def main() -> None:
    """Print how long scrapes take, attack by attack, and what the serving process grew by."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        scratch = Path(name)
        build_demo(scratch / "root")
        running = Subject(scratch / "root", "--cache.file", "none", "--web.config.file", str(_web_config(scratch)))
        stack.callback(running.process.wait)
        stack.callback(running.process.kill)
        port = int(running.url.rpartition(":")[2])
        context = ssl.create_default_context(cafile=str(scratch / "server.crt"))

        def ask(user: str, password: str) -> int:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
            with contextlib.closing(connection):
                connection.request("GET", "/metrics", headers={"authorization": f"Basic {token}"})
                answer = connection.getresponse()
                answer.read()
                return answer.status

        ask("prom", "secret")
        before = _resident(running.process.pid)
        attacks: list[tuple[str, Callable[[], None]]] = [
            ("nothing else", lambda: None),
            (f"{_IDLE} idle connections", lambda: _open(stack, port, _IDLE)),
            (f"and {_STALLED} stalled handshakes", lambda: _open(stack, port, _STALLED, _HELLO)),
            (f"and {_SLOW} slow readers", lambda: _read_slowly(stack, port, context)),
            ("and wrong passwords in a loop", lambda: stack.enter_context(_guessing(ask))),
        ]
        for what, begin in attacks:
            begin()
            times = sorted(_timed(lambda: ask("prom", "secret")) for _ in range(_SCRAPES))
            grown = (_resident(running.process.pid) - before) >> 20
            met = "met" if times[-2] < _BUDGET_MS else "missed"
            print(f"{what:34} p50 {statistics.median(times):5.1f} ms, p99 {times[-2]:5.1f} ms ({met}), +{grown} MB")


def _web_config(scratch: Path) -> Path:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(scratch / "server.key"), "-out", str(scratch / "server.crt")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()
    file = scratch / "web.yml"
    file.write_text(
        f"tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{prom: {hashed}}}\n"
    )
    return file


def _timed(call: Callable[[], int]) -> float:
    start = time.perf_counter()
    status = call()
    if status != http.HTTPStatus.OK:
        raise RuntimeError(f"the scrape got {status}")
    return (time.perf_counter() - start) * 1000


def _open(stack: contextlib.ExitStack, port: int, number: int, first: bytes = b"") -> None:
    for _ in range(number):
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        with contextlib.suppress(OSError):
            connection.sendall(first)


def _read_slowly(stack: contextlib.ExitStack, port: int, context: ssl.SSLContext) -> None:
    token = base64.b64encode(b"prom:secret").decode()
    head = f"GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Basic {token}\r\n\r\n".encode()
    for _ in range(_SLOW):
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        connection = stack.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1"))
        connection.sendall(head * 50)


@contextlib.contextmanager
def _guessing(ask: Callable[[str, str], int]) -> Iterator[None]:
    stop = threading.Event()

    def guess(user: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                ask(user, str(number))

    threads = [threading.Thread(target=guess, args=(user,)) for user in ("prom", "nobody")]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for one in threads:
            one.join()


def _resident(process: int) -> int:
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


if __name__ == "__main__":
    main()
