"""Prometheus and curl as clients of an exporter with TLS and passwords."""

import contextlib
import os
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.support.product import Samples, needs
from tests.support.tls import HASH, TLS, make_certificates, serving
from tests.support.waiting import DEADLINE, eventually

pytestmark = needs("openssl")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("pki"))


@needs("prometheus")
def test_prometheus_scrapes_over_tls_with_a_password(certificates: Path, tmp_path: Path) -> None:
    text = f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
    with serving(certificates, f"{text}basic_auth_users:\n  prom: {HASH}\n") as running:
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: docker\n  scheme: https\n"
            f"  basic_auth: {{username: prom, password: secret}}\n  tls_config:\n    ca_file: {certificates}/ca.crt\n"
            f"    cert_file: {certificates}/client.crt\n    key_file: {certificates}/client.key\n"
            f"  static_configs: [{{targets: ['localhost:{running.port}']}}]\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb"]
        prometheus = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL, env={**os.environ}
        )
        try:
            query = f"http://127.0.0.1:{port}/api/v1/query?query=up%7Bjob%3D%22docker%22%7D"

            def scraped() -> bool:
                with contextlib.suppress(OSError), urllib.request.urlopen(query, timeout=DEADLINE) as page:
                    return '"1"]' in page.read().decode()
                return False

            eventually(scraped)
        finally:
            prometheus.terminate()
            prometheus.wait()


@needs("curl")
def test_curl(certificates: Path) -> None:
    with serving(certificates, f"{TLS}basic_auth_users:\n  prom: {HASH}\n") as running:
        running.log_line("event=scan.done")
        command = ["curl", "-sS", "--compressed", "--cacert", str(certificates / "ca.crt"), "-u", "prom:secret"]
        done = subprocess.run(
            [*command, f"https://localhost:{running.port}/metrics"], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert Samples(done.stdout)("up") == 1
