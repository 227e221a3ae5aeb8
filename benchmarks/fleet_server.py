"""A private Prometheus on blocks that are there already, on one core."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.subject import ticks_of

#: What a panel shows when a dashboard opens.
RANGE = 6 * 3600


@dataclass
class Server:
    """A running Prometheus."""

    url: str
    process: subprocess.Popen[bytes]
    now: float

    def ask(self, path: str, **parameters: object) -> Any:
        """The data of an answer of its API; raises RuntimeError with its reason."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=300) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{parameters}: {error.read().decode()}") from None

    def instant(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        return list(self.ask("query", query=expression, time=self.now)["result"])

    def cost(self, expression: str, step: int = 0) -> float:
        """CPU seconds of a query; with a step it is of a range."""
        before = self.cpu_seconds()
        if step:
            asked: dict[str, object] = {"start": self.now - RANGE, "end": self.now, "step": step}
            self.ask("query_range", query=expression, **asked)
        else:
            self.instant(expression)
        return self.cpu_seconds() - before

    def cpu_seconds(self) -> float:
        """CPU seconds that it has taken."""
        return ticks_of(self.process.pid) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(data: Path, now: float) -> Iterator[Server]:
    """Run a Prometheus on the blocks, on one core and without scrapes, for the length of a `with` block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = data.parent / "prometheus.yml"
    config.write_text("global: {}\n")
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}",
    ]
    command += ["--storage.tsdb.retention.time=100d"]
    log = (data.parent / "log").open("wb")
    process = subprocess.Popen(command, stderr=log, env={**os.environ, "GOMAXPROCS": "1"})
    try:
        running = Server(f"http://{address}", process, now)
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError, RuntimeError):
                running.ask("query", query="1")
                break
            if time.monotonic() > until or process.poll() is not None:
                sys.exit((data.parent / "log").read_text())
            time.sleep(0.2)
        yield running
    finally:
        process.terminate()
        process.wait(60)
        log.close()
