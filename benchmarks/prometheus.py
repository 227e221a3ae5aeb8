"""A private Prometheus that scrapes the exporter every second."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

_CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: exporter, static_configs: [{targets: ["%s"]}]}]
"""


class Prometheus:
    """A running Prometheus; `url` is None where it is not installed."""

    def __init__(self, url: str | None) -> None:
        self.url = url

    def judge(self, failures: list[str]) -> str:
        """Note every failed scrape; return the number of scrapes and their times as text."""
        if self.url is None:
            failures.append("prometheus is not installed")
            return "no scrapes"
        count = self.ask("count_over_time(up[1h])")
        failed = count - self.ask("sum_over_time(up[1h])")
        longest = self.ask("max_over_time(scrape_duration_seconds[1h])")
        if failed:
            failures.append(f"{failed:.0f} scrapes by Prometheus failed")
        return f"{count:.0f} scrapes by Prometheus, the longest {1000 * longest:.0f} ms"

    def ask(self, query: str) -> float:
        """The one value of an instant query; 0 where there is none."""
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0


@contextlib.contextmanager
def scraping(target: str, scratch: Path) -> Iterator[Prometheus]:
    """Run a Prometheus for the length of a `with` block, with its data in `scratch`."""
    if shutil.which("prometheus") is None:
        yield Prometheus(None)
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = scratch / "prometheus.yml"
    config.write_text(_CONFIG % target.removeprefix("http://"))
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={scratch / 'tsdb'}"]
    server = subprocess.Popen(
        [*command, f"--web.listen-address={address}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(f"http://{address}/-/ready")
        yield Prometheus(f"http://{address}")
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.1)
    sys.exit("prometheus does not start here")
