"""Web configurations that change while they are in force."""

import base64
import contextlib
import http.client
import signal
import ssl
from pathlib import Path

import bcrypt
import pytest

from tests.support import pki
from tests.support.exporter import Exporter, exporter
from tests.support.product import Samples, needs
from tests.support.roots import graph_root
from tests.support.tls import HASH, TLS, client, get, serving
from tests.support.waiting import DEADLINE, eventually

pytestmark = needs("openssl")


def test_a_changed_file_is_followed_and_a_broken_one_counted(certificates: Path) -> None:
    users = "basic_auth_users:\n  prom: "
    with serving(certificates, f"{TLS}{users}{HASH}\n", "--web.enable-lifecycle") as running:
        context = client(certificates)
        with contextlib.closing(
            http.client.HTTPSConnection("127.0.0.1", running.port, timeout=DEADLINE, context=context)
        ) as kept:

            def ask(user: str, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
                token = base64.b64encode(user.encode()).decode()
                kept.request(method, path, headers={"authorization": f"Basic {token}"})
                answer = kept.getresponse()
                return answer.status, answer.read().decode()

            assert ask("prom:secret")[0] == 200
            connection = kept.sock
            file = certificates / "web.yml"
            changed = bcrypt.hashpw(b"changed", bcrypt.gensalt(4)).decode()
            file.write_text(f"{TLS}{users}{changed}\n")
            assert ask("prom:secret")[0] == 401
            assert ask("prom:changed")[0] == 200
            file.write_text("broken: yes\n")
            figures = Samples(ask("prom:changed")[1])
            assert figures("web_config_reloads_total", result="success") == 1
            assert figures("web_config_reloads_total", result="failure") == 1
            assert figures("web_config_stale") == 1
            assert ask("prom:changed", "/-/reload", "POST")[0] == 500
            pki.signed(certificates, "next", "DNS:localhost,IP:127.0.0.1", by="stranger")
            file.write_text(f"{TLS.replace('server', 'next').replace('tls_next', 'tls_server')}{users}{changed}\n")
            assert ask("prom:changed", "/-/reload", "POST")[0] == 200
            assert ask("prom:changed")[0] == 200
            assert kept.sock is connection, "no connection was dropped"
            assert get(running, context, user="prom:changed") == 0, "a new connection gets the new certificate"


def test_a_mounted_secret_that_is_swapped_is_followed(certificates: Path, tmp_path: Path) -> None:
    """Kubernetes changes a mounted secret by renaming a link to its directory; certbot one file after the other."""

    def put(name: str, certificate: str, key: str) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        (directory / "tls.crt").write_bytes((certificates / f"{certificate}.crt").read_bytes())
        (directory / "tls.key").write_bytes((certificates / f"{key}.key").read_bytes())
        text = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n"
        (directory / "web.yml").write_text(text)
        return directory

    def swap(directory: Path) -> None:
        link = tmp_path / "..data_tmp"
        link.symlink_to(directory.name)
        link.rename(tmp_path / "..data")

    def served() -> bytes:
        pem = ssl.get_server_certificate(("127.0.0.1", running.port))
        return ssl.PEM_cert_to_DER_cert(pem)

    def certificate(name: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert((certificates / f"{name}.crt").read_text())

    first = put("..first", "server", "server")
    swap(first)
    for name in ("web.yml", "tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    root = graph_root(tmp_path / "root").path
    with exporter(root, "--web.config.file", str(tmp_path / "web.yml")) as running:
        kept = http.client.HTTPSConnection("127.0.0.1", running.port, timeout=DEADLINE, context=client(certificates))
        with contextlib.closing(kept):

            def figures() -> Samples:
                kept.request("GET", "/metrics")
                return Samples(kept.getresponse().read().decode())

            assert figures()("web_config_stale") == 0
            connection = kept.sock
            assert served() == certificate("server")
            swap(put("..second", "rsa", "rsa"))
            assert served() == certificate("rsa")
            (tmp_path / "..second" / "tls.crt").write_bytes((certificates / "server.crt").read_bytes())
            assert served() == certificate("rsa"), "it has no key yet"
            assert figures()("web_config_stale") == 1
            (tmp_path / "..second" / "tls.key").write_bytes((certificates / "server.key").read_bytes())
            assert served() == certificate("server")
            found = figures()
            assert (found("web_config_stale"), found("web_config_reloads_total", result="failure")) == (0, 1)
            assert kept.sock is connection


def test_reload_is_off_unless_asked_for_and_scans_everything(tmp_path: Path) -> None:
    def reload(running: Exporter) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE)) as connection:
            connection.request("POST", "/-/reload")
            return connection.getresponse().status

    built = graph_root(tmp_path / "root").image("app", size=7)
    with exporter(built.path) as running:
        assert reload(running) == 403
    with exporter(built.path, "--web.enable-lifecycle") as running:
        eventually(lambda: running.get("/-/ready")[0] == 200)  # before, the first scan reads everything anyway
        assert reload(running) == 200
        running.until(lambda figures: figures("scans_total", collector="images", trigger="manual") == 1)


_USERS = f"basic_auth_users:\n  prom: {HASH}\n  other: {HASH}\n"


def _ask(running: Exporter, user: str = "", path: str = "/metrics", method: str = "GET") -> tuple[int, Samples]:
    headers = {"authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, Samples(answer.read().decode())


@pytest.mark.parametrize(
    "text",
    ["", "\n", "# protected again soon\n", "{}\n", "basic_auth_users:\n", "basic_auth_users:\n  prom: $2b$", "a"],
)
def test_a_file_that_is_rewritten_in_place_opens_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "web.yml"
    file.write_text(_USERS)
    flags = ("--web.config.file", str(file), "--web.enable-lifecycle")
    with exporter(graph_root(tmp_path / "root").path, *flags) as running:
        assert _ask(running)[0] == 401
        file.write_text(text)
        assert _ask(running)[0] == 401
        status, figures = _ask(running, "prom:secret")
        assert (status, figures("web_config_stale")) == (200, 1)
        assert _ask(running, "prom:secret", "/-/reload", "POST")[0] == 500, "nor does a request open it"
        assert _ask(running)[0] == 401
        file.unlink()
        assert _ask(running)[0] == 401
        assert _ask(running, "other:secret")[0] == 200
        file.write_text(_USERS)
        assert _ask(running, "prom:secret")[1]("web_config_stale") == 0


def test_protection_ends_by_a_signal(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(_USERS)
    with exporter(graph_root(tmp_path / "root").path, "--web.config.file", str(file)) as running:
        file.write_text("# open to everybody\n")
        assert _ask(running)[0] == 401
        assert "SIGHUP" in running.log_line("less protection: basic_auth_users.*")[0]
        running.process.send_signal(signal.SIGHUP)
        running.log_line("web_config.reloaded")
        status, figures = _ask(running)
        assert (status, figures("web_config_stale")) == (200, 0)


def test_a_user_who_is_removed_stays_until_the_file_is_surely_whole(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(_USERS)
    with exporter(graph_root(tmp_path / "root").path, "--web.config.file", str(file)) as running:
        assert _ask(running, "other:secret")[0] == 200
        file.write_text(_USERS[: _USERS.index("  other")])
        eventually(lambda: _ask(running, "other:secret")[0] == 401)
        status, figures = _ask(running, "prom:secret")
        assert (status, figures("web_config_stale")) == (200, 0)
        assert figures("web_config_reloads_total", result="success") == 1
        file.write_text(_USERS)
        assert _ask(running, "other:secret")[0] == 200
