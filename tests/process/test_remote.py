"""`--from` a real exporter with TLS and passwords: who is let in, and what everybody else is told."""

import contextlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.support import pki
from tests.support.exporter import exporter
from tests.support.product import needs
from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE, eventually

pytestmark = [pytest.mark.xdist_group("remote"), needs("openssl")]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporter", "images", "--json", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=DEADLINE, env={**clean, **environment}
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates, passwords, and what is neither."""
    directory = tmp_path_factory.mktemp("remote")
    pki.authority(directory)
    pki.authority(directory, "stranger")
    pki.signed(directory, "server", "DNS:localhost")
    pki.authority(directory, "plain", usage="")
    pki.signed(directory, "plain-server", "DNS:localhost", by="plain")
    pki.signed(directory, "client", "DNS:admin.example")
    pki.signed(directory, "other", "DNS:admin.example", by="stranger")
    (directory / "password").write_text("correct horse\n")
    (directory / "wrong").write_text("battery staple\n")
    (directory / "binary").write_bytes(b"\xff\xfe\x00\n")
    return directory


@pytest.fixture(scope="module")
def port(files: Path) -> Iterator[int]:
    """An exporter that wants a client certificate and a password."""
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    web = "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt,\n"
    web += f"  client_auth_type: RequireAndVerifyClientCert}}\nbasic_auth_users: {{admin: {hashed}}}\n"
    (files / "web.yml").write_text(web)
    built = graph_root(files).image("app", size=13, tag="app:1")
    with exporter(built.path, "--web.config.file", str(files / "web.yml")) as running:
        # The line of the first scan is written just before its figures are served.
        eventually(lambda: run(*flags(good(files, running.port))).returncode == 0)
        yield running.port


def good(files: Path, port: int) -> dict[str, str]:
    return {
        "--from": f"https://localhost:{port}",
        "--from.user": "admin",
        "--from.password-file": str(files / "password"),
        "--from.ca-file": str(files / "ca.crt"),
        "--from.cert-file": str(files / "client.crt"),
        "--from.key-file": str(files / "client.key"),
    }


def flags(settings: dict[str, str]) -> list[str]:
    return [word for pair in settings.items() if pair[1] for word in pair]


def test_with_all_that_is_asked_for_it_answers(files: Path, port: int) -> None:
    settings = good(files, port)
    done = run(*flags(settings))
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert (image["references"], image["virtual"]) == (["app:1"], 13)
    both = files / "both.pem"
    both.write_text((files / "client.crt").read_text() + (files / "client.key").read_text())
    assert run(*flags(settings | {"--from.cert-file": str(both), "--from.key-file": ""})).returncode == 0


def test_all_of_it_can_come_from_the_environment_or_a_file(files: Path, port: int) -> None:
    settings = good(files, port)
    names = {f"DOCKER_STORAGE_EXPORTER_{key[2:].upper().replace('.', '_').replace('-', '_')}": key for key in settings}
    done = run(**{name: settings[key] for name, key in names.items()})
    assert done.returncode == 0, done.stderr
    written = "".join(f"{key[2:]}: {value}\n" for key, value in settings.items())
    (files / "settings.yml").write_text(written)
    done = run("--config.file", str(files / "settings.yml"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--from.password-file": "{files}/wrong"}, "answers 401 Unauthorized: give --from.user"),
        ({"--from.password-file": "{files}/binary"}, "answers 401"),
        ({"--from.password-file": "", "--from.user": ""}, "answers 401"),
        ({"--from.user": "nobody"}, "answers 401"),
        ({"--from.ca-file": "{files}/stranger.crt"}, "--from.ca-file"),
        ({"--from.ca-file": ""}, "--from.ca-file"),
        ({"--from": "https://127.0.0.1:{port}"}, "--from.ca-file, for this name"),
        ({"--from.cert-file": "", "--from.key-file": ""}, "it wants a client certificate: --from.cert-file"),
        (
            {"--from.cert-file": "{files}/other.crt", "--from.key-file": "{files}/other.key"},
            "it does not know who signed --from.cert-file",
        ),
        ({"--from": "http://localhost:{port}"}, "answers 400 Bad Request: does it speak https?"),
        ({"--from.ca-file": "{files}/none"}, "--from.ca-file {files}/none: No such file or directory"),
        ({"--from.ca-file": "{files}/password"}, "--from.ca-file {files}/password: no certificate"),
        ({"--from.cert-file": "{files}/none"}, "none and {files}/client.key: No such file or directory"),
        ({"--from.key-file": "{files}/other.key"}, "key values mismatch"),
        ({"--from": "https://localhost:99999"}, "--from must be"),
        ({"--from": "https://[::bad"}, "--from must be"),
        ({"--from": "ftp://localhost"}, "--from must be"),
        ({"--from": "https://localhost:1"}, "Connection refused"),
    ],
)
def test_everybody_else_is_told_why_not_in_one_line(files: Path, port: int, change: dict[str, str], said: str) -> None:
    wanted = {key: value.format(files=files, port=port) for key, value in change.items()}
    done = run(*flags(good(files, port) | wanted))
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert said.format(files=files) in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "horse" not in done.stderr


@pytest.fixture(scope="module")
def plain_port(files: Path) -> Iterator[int]:
    """An exporter whose certificate was signed by an authority without keyUsage, as many private ones are."""
    web = "tls_server_config: {cert_file: plain-server.crt, key_file: plain-server.key}\n"
    (files / "plain.yml").write_text(web)
    with exporter(graph_root(files / "plain").path, "--web.config.file", str(files / "plain.yml")) as running:
        trusted = ("--from", f"https://localhost:{running.port}", "--from.ca-file", str(files / "plain.crt"))
        eventually(lambda: not run(*trusted).returncode)
        yield running.port


def test_an_authority_without_key_usage_is_trusted_when_it_is_named(files: Path, plain_port: int) -> None:
    done = run("--from", f"https://localhost:{plain_port}", "--from.ca-file", str(files / "plain.crt"))
    assert done.returncode == 0, done.stderr


def test_where_it_is_only_the_systems_it_is_trusted_or_the_message_says_to_name_it(
    files: Path, plain_port: int
) -> None:
    """Python verifies strictly from 3.13 on."""
    strict = ssl.create_default_context().verify_flags & ssl.VerifyFlags.VERIFY_X509_STRICT
    done = run("--from", f"https://localhost:{plain_port}", SSL_CERT_FILE=str(files / "plain.crt"))
    if not strict:
        assert done.returncode == 0
        return
    assert done.returncode == 1
    assert "name the authority's file with --from.ca-file" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_https_to_an_exporter_that_speaks_http(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(exporter(graph_root(tmp_path).path))
        done = run("--from", f"https://127.0.0.1:{running.port}")
    assert done.returncode == 1
    assert "does it speak http?" in done.stderr
    assert len(done.stderr.splitlines()) == 1
