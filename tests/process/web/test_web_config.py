"""The verdicts of exporter-toolkit on good and bad web configurations, each on a file of our own."""

import shutil
import subprocess
from pathlib import Path

import bcrypt
import pytest
from click.testing import CliRunner, Result

from exporter.cli.main import main
from exporter.config.settings import SettingsError
from exporter.web.access.config import CIPHERS, CURVES, WebConfig, load
from exporter.web.access.tls import make_context
from exporter.web.protocol.message import Request, Response
from exporter.web.server import Server
from tests.support.command import run
from tests.support.product import needs

_HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
_TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
_MANY = "".join(f"  - {name}\n" for name in CIPHERS)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    for name in ("server", "other"):
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
        files = ["-keyout", str(directory / f"{name}.key"), "-out", str(directory / f"{name}.crt")]
        subprocess.run([*command, *files], check=True, capture_output=True)
    (directory / "none.pem").write_text("-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n")
    return directory


def check(directory: Path, text: str | bytes) -> WebConfig:
    file = directory / "web.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    config = load(str(file))
    if config.tls:
        make_context(config.tls, str(file))
    return config


GOOD: dict[str, str | bytes] = {
    "an empty file": "",
    "only a comment": "# nothing\n",
    "sections without anything in them": "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\nrate_limit:\n",
    "an empty TLS section": "tls_server_config: {}\n",
    "certificate and key": _TLS,
    "a client certificate if given, without an authority": _TLS + "  client_auth_type: VerifyClientCertIfGiven\n",
    "a client certificate without an authority: the system's": _TLS
    + "  client_auth_type: RequireAndVerifyClientCert\n",
    "no client certificate": _TLS + "  client_auth_type: NoClientCert\n",
    "an authority": _TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: other.crt\n",
    "allowed names": _TLS
    + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: other.crt\n"
    + "  client_allowed_sans: [a, 10.0.0.1]\n",
    "all cipher suites": _TLS + "  cipher_suites:\n" + _MANY,
    "the client's order": _TLS
    + "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"
    + "  prefer_server_cipher_suites: false\n  min_version: TLS12\n  max_version: TLS12\n",
    "one curve": _TLS + "  min_version: TLS13\n  curve_preferences: [CurveP521]\n",
    "old versions": _TLS + "  min_version: TLS10\n  max_version: TLS11\n",
    "suites that HTTP/2 forbids, without HTTP/2": _TLS
    + "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n  max_version: TLS12\n"
    + "http_server_config:\n  http2: false\n",
    "only suites of TLS 1.3 and nothing older": _TLS
    + "  min_version: TLS13\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n",
    "headers": "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: 1\n"
    "    X-Content-Type-Options: nosniff\n    Strict-Transport-Security: max-age=31536000; includeSubDomains\n"
    "    Content-Security-Policy: \"default-src 'self'\"\n",
    "a header left blank": "http_server_config:\n  headers:\n    Content-Security-Policy:\n",
    "users": f"basic_auth_users:\n  alice: {_HASH}\n  1234: {_HASH}\n",
    "users of htpasswd": f"basic_auth_users:\n  alice: {_HASH.replace('$2b$', '$2y$')}\n",
    "a rate limit": "rate_limit:\n  interval: 1s\n  burst: 20\n",
    "a rate limit that blocks": "rate_limit:\n  interval: '1s'\n  burst: 0\n",
    "no rate limit": "rate_limit:\n  interval: 0\n  burst: 0\n",
    "no users": "basic_auth_users: {}\n",
    "users with hashes of every kind": "basic_auth_users:\n"
    + "".join(f"  user{kind}: {_HASH.replace('$2b$', f'$2{kind}$')}\n" for kind in ("", "a", "b", "x", "y")),
    "a hash of the highest cost": f"basic_auth_users:\n  alice: {_HASH.replace('$04$', '$31$')}\n",
    "a file with a byte order mark": b"\xef\xbb\xbf" + _TLS.encode(),
    "a file with carriage returns": _TLS.replace("\n", "\r\n"),
    "one document with its marks": f"---\n{_TLS}...\n",
    "a value said twice by its anchor": "tls_server_config:\n  cert_file: &pem server.crt\n  key_file: server.key\n"
    "  client_ca_file: *pem\n  client_auth_type: RequireAndVerifyClientCert\n",
    "HTTP/2 switched on": "http_server_config:\n  http2: true\n",
    "empty lists": _TLS + "  cipher_suites: []\n  curve_preferences: []\n",
    "no allowed names at all": _TLS + "  client_allowed_sans:\n",
    "an empty certificate and key, and nothing else": "tls_server_config: {cert_file: '', key_file: ''}\n",
    "a file without its end of line": _TLS.rstrip("\n"),
    "a duration in parts": "rate_limit:\n  interval: 1m1.5s\n  burst: 1\n",
}

BAD: dict[str, tuple[str | bytes, int | None, str]] = {
    "text": ("hello there\n", 1, "mapping"),
    "a list": ("- a\n- b\n", 1, "mapping"),
    "no YAML": ("tls_server_config: {\n", 2, "not YAML"),
    "an unknown section": (_TLS + "tls_server:\n  a: 1\n", 4, "unknown key 'tls_server'"),
    "an unknown key": (_TLS + "  cert_path: x\n", 4, "unknown key 'cert_path'"),
    "a key twice": (_TLS + "  key_file: server.key\n", 4, "twice"),
    "no certificate": ("tls_server_config:\n  cert_file: ''\n  key_file: server.key\n", 1, "cert or cert_file"),
    "no key": ("tls_server_config:\n  cert_file: server.crt\n", 1, "key or key_file"),
    "an empty inline certificate": ("tls_server_config:\n  cert: ''\n  key_file: server.key\n", 1, "cert or cert_file"),
    "only a policy": ("tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n", 1, "cert or cert_file"),
    "a certificate that is not there": (_TLS.replace("server.crt", "gone.crt"), 2, "no such file"),
    "a key that is not there": (_TLS.replace("server.key", "gone.key"), 3, "no such file"),
    "a key of another certificate": (_TLS.replace("server.key", "other.key"), 3, "of another certificate"),
    "an authority without policy": (_TLS + "  client_ca_file: /dev/null\n", 1, "Client Auth Policy"),
    "an unknown policy": (_TLS + "  client_auth_type: Maybe\n", 4, "invalid ClientAuth"),
    "an authority that is not there": (
        _TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: gone.pem\n",
        5,
        "no such file",
    ),
    "an authority without certificates": (
        _TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: none.pem\n",
        5,
        "no certificate",
    ),
    "an inline authority without certificates": (
        _TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: none\n",
        5,
        "no certificate",
    ),
    "names without a certificate": (_TLS + "  client_allowed_sans: [a]\n", 1, "client_allowed_sans"),
    "names with an optional certificate": (
        _TLS + "  client_auth_type: VerifyClientCertIfGiven\n  client_allowed_sans: [a]\n",
        1,
        "client_allowed_sans",
    ),
    "an invented cipher suite": (_TLS + "  cipher_suites:\n  - TLS_NONE\n", 5, "unknown cipher"),
    "any client certificate": (_TLS + "  client_auth_type: RequireAnyClientCert\n", 4, "without verifying it"),
    "any client certificate, the old name": (
        _TLS + "  client_auth_type: RequireClientCert\n",
        4,
        "without verifying it",
    ),
    "a client certificate asked for": (_TLS + "  client_auth_type: RequestClientCert\n", 4, "without verifying it"),
    "all curves": (_TLS + "  curve_preferences:\n" + "".join(f"  - {name}\n" for name in CURVES), 4, "one curve only"),
    "an invented curve": (_TLS + "  curve_preferences:\n  - CurveP1\n", 5, "unknown curve"),
    "an invented version": (_TLS + "  min_version: TLS14\n", 4, "unknown TLS version"),
    "versions the wrong way round": (_TLS + "  min_version: TLS13\n  max_version: TLS12\n", 1, "above"),
    "suites that HTTP/2 forbids": (
        _TLS + "  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n  max_version: TLS12\n",
        1,
        "HTTP/2-required",
    ),
    "another header": ("http_server_config:\n  headers:\n    Server: me\n", 3, "can not be configured"),
    "a wrong X-Frame-Options": ("http_server_config:\n  headers:\n    X-Frame-Options: no\n", 3, "invalid value"),
    "a wrong X-Content-Type-Options": (
        "http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n",
        3,
        "invalid value",
    ),
    "a header of two lines": (
        'http_server_config:\n  headers:\n    X-XSS-Protection: "1\\r\\nSet-Cookie: a"\n',
        3,
        "printable",
    ),
    "neither certificate nor key": (
        "tls_server_config:\n  cert_file: ''\n  key_file: ''\n  client_auth_type: RequireAndVerifyClientCert\n",
        1,
        "cert or cert_file",
    ),
    "an empty inline key": ("tls_server_config:\n  cert_file: server.crt\n  key: ''\n", 1, "key or key_file"),
    "neither the certificate's nor the key's file": (
        _TLS.replace("server.", "gone."),
        2,
        "failed to read cert_file .*no such file",
    ),
    "a certificate for a key": (_TLS.replace("server.key", "server.crt"), 3, "private key"),
    "a directory for a certificate": (_TLS.replace("server.crt", "."), 2, "is a directory"),
    "an empty list of allowed names": (_TLS + "  client_allowed_sans: []\n", 1, "client_allowed_sans"),
    "a policy of the wrong case": (_TLS + "  client_auth_type: requireAnyClientCert\n", 4, "invalid ClientAuth"),
    "a suite that Go calls insecure": (
        _TLS + "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n",
        4,
        "unknown cipher 'TLS_RSA_WITH_RC4_128_SHA'",
    ),
    "a suite and no list": (_TLS + "  cipher_suites: TLS_AES_128_GCM_SHA256\n", 4, "a list is expected"),
    "a number for a version": (_TLS + "  max_version: 772\n", 4, "unknown TLS version"),
    "a header in lower case": (
        "http_server_config:\n  headers:\n    x-frame-options: deny\n",
        3,
        "can not be configured",
    ),
    "X-Content-Type-Options left blank": (
        "http_server_config:\n  headers:\n    X-Content-Type-Options:\n",
        3,
        "invalid value",
    ),
    "headers in a list": ("http_server_config:\n  headers: [X-Frame-Options]\n", 2, "mapping"),
    "a switch in quotes": ("http_server_config:\n  http2: 'true'\n", 2, "true or false"),
    "a hash cut short": (f"basic_auth_users:\n  alice: {_HASH[:-1]}\n", 2, "bcrypt"),
    "a hash of a cost that does not exist": (
        f"basic_auth_users:\n  alice: {_HASH.replace('$04$', '$32$')}\n",
        2,
        "bcrypt",
    ),
    "a hash of a cost that is none": (f"basic_auth_users:\n  alice: {_HASH.replace('$04$', '$03$')}\n", 2, "bcrypt"),
    "a user twice": (f"basic_auth_users:\n  alice: {_HASH}\n  alice: {_HASH}\n", 3, "twice"),
    "a user as htpasswd prints it": (f"basic_auth_users:\n  alice:{_HASH}\n", 1, "mapping"),
    "another document": (f"{_TLS}---\n{_TLS}", 4, "not YAML"),
    "a tab": ("tls_server_config:\n\tcert_file: server.crt\n", 2, "not YAML"),
    "bytes that are not UTF-8": (b"basic_auth_users:\n  \xff: secretword\n", None, "not YAML"),
    "a NUL": (b"basic_auth_users:\n  alice: secretword\0\n", None, "not YAML"),
    "an object of Python": ("basic_auth_users: !!python/object/apply:os.system [secretword]\n", 1, "mapping"),
    "a quote without an end": ("basic_auth_users:\n  alice: 'secretword\n", 3, "not YAML"),
    "a merge of itself": ("tls_server_config: &a\n  <<: *a\n", 1, "<<"),
    "a merge of itself, by way of another": ("tls_server_config: &a\n  <<: {<<: *a}\n", 2, "<<"),
    "a merge of text": ("tls_server_config:\n  <<: text\n", 1, "<<"),
    "a duration below nothing": ("rate_limit:\n  interval: -1s\n", 2, "duration"),
    "a duration beyond everything": (f"rate_limit:\n  interval: {'9' * 400}h\n", 2, "longer"),
    "a number beyond everything": (f"rate_limit:\n  interval: {'9' * 400}\n", 2, "longer"),
    "a burst beyond everything": (f"rate_limit:\n  burst: {'9' * 400}\n", 2, "above"),
    "a plain password": ("basic_auth_users:\n  alice: secretword\n", 2, "bcrypt"),
    "no password": ("basic_auth_users:\n  alice:\n", 2, "bcrypt"),
    "users in a list": ("basic_auth_users:\n  - alice\n", 1, "mapping"),
    "text for a switch": ("http_server_config:\n  http2: maybe\n", 2, "true or false"),
    "no duration": ("rate_limit:\n  interval: soon\n", 2, "duration"),
    "no number": ("rate_limit:\n  burst: many\n", 2, "whole number"),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
@needs("openssl")
def test_what_is_good_is_taken(certificate: Path, text: str | bytes) -> None:
    check(certificate, text)
    done = verdict(certificate)
    assert (done.exit_code, done.output.startswith(f"{certificate / 'web.yml'}: a good web configuration")) == (0, True)
    Server(unanswered, str(certificate / "web.yml"))


@pytest.mark.parametrize(("text", "line", "reason"), BAD.values(), ids=BAD)
@needs("openssl")
def test_what_is_bad_is_refused_with_its_line(
    certificate: Path, text: str | bytes, line: int | None, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        check(certificate, text)
    place = f"web.yml:{line}:" if line else "web.yml: "
    assert place in str(caught.value)
    assert "secretword" not in str(caught.value)
    assert _HASH[:20] not in str(caught.value)
    done = verdict(certificate)
    assert (done.exit_code, done.output) == (1, f"Error: {caught.value}\n")
    with pytest.raises(SettingsError):
        Server(unanswered, str(certificate / "web.yml"))


def verdict(directory: Path) -> Result:
    """What `check-config` says."""
    return CliRunner().invoke(main, ["check-config", str(directory / "web.yml")])


async def unanswered(_request: Request) -> Response:
    raise AssertionError("nobody asks")


@needs("openssl")
def test_a_server_does_not_start_with_less_than_it_was_given(certificate: Path, tmp_path: Path) -> None:
    for text in (_TLS + "  cert_path: x\n", _TLS.replace("server.key", "gone.key"), None):
        file = certificate / "web.yml"
        file.unlink(missing_ok=True)
        if text:
            file.write_text(text)
        done = run(
            "run", "--root", str(tmp_path), "--web.listen-address", "127.0.0.1:0", "--web.config.file", str(file)
        )
        assert done.returncode == 1
        assert str(file) in done.stderr
        assert "serving" not in done.stderr


@needs("openssl")
def test_certificate_and_key_may_stand_in_the_file(certificate: Path) -> None:
    def block(file: str) -> str:
        return "|\n" + "".join(f"    {line}\n" for line in (certificate / file).read_text().splitlines())

    text = f"tls_server_config:\n  cert: {block('server.crt')}  key: {block('server.key')}"
    assert check(certificate, text).tls is not None
    with pytest.raises(SettingsError) as caught:
        check(certificate, text.replace("BEGIN PRIVATE", "BEGIN PUBLIC"))
    assert "MII" not in str(caught.value)


@needs("openssl")
def test_an_encrypted_key_is_an_error_and_no_question(certificate: Path) -> None:
    command = ["openssl", "rsa", "-aes256", "-passout", "pass:x", "-in", "server.key", "-out", "locked.key"]
    subprocess.run(command, cwd=certificate, check=True, capture_output=True)
    with pytest.raises(SettingsError, match="cannot be used"):
        check(certificate, _TLS.replace("server.key", "locked.key"))


@needs("openssl")
def test_check_config_says_what_a_file_is(certificate: Path, tmp_path: Path) -> None:
    for name in ("server.crt", "server.key"):
        shutil.copy(certificate / name, tmp_path)
    web = tmp_path / "web.yml"
    web.write_text(_TLS + f"basic_auth_users:\n  alice: {_HASH}\n")
    done = run("check-config", str(web))
    assert (done.returncode, done.stderr) == (0, "")
    assert "a good web configuration: TLS 12 to 13, NoClientCert, 1 users" in done.stdout
    web.write_text("rate_limits:\n")
    done = run("check-config", str(web))
    assert done.returncode == 1
    assert f"{web}:1: unknown key 'rate_limits'" in done.stderr
    assert "o such file" in run("check-config", str(tmp_path / "none.yml")).stderr
