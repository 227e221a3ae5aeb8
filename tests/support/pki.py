"""Certificates for tests, made with the openssl command."""

import subprocess
from pathlib import Path

#: What Python 3.13 wants of an authority, as RFC 5280 does.
_AUTHORITY_USAGE = "critical,keyCertSign,cRLSign"
#: `openssl x509 -days` takes no negative number since OpenSSL 3.5; `openssl ca` takes dates in every version.
_CA_CONFIG = """
[ca]
default_ca = tests
[tests]
database = {name}.index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def authority(directory: Path, name: str = "ca", *, usage: str = _AUTHORITY_USAGE) -> None:
    """Make a certificate authority: `name`.crt and `name`.key. With an empty `usage` it has no keyUsage."""
    _openssl(
        directory,
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"),
        *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"),
        *(("-addext", f"keyUsage={usage}") if usage else ()),
    )


def signed(  # noqa: PLR0913 - what a certificate is made of
    directory: Path, name: str, names: str, by: str = "ca", *, rsa: bool = False, expired: bool = False, use: str = ""
) -> None:
    """Make a certificate with these alternative names, signed by an authority, `use` being its only extended one."""
    kind = ("rsa:2048",) if rsa else ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    extensions = ["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid", f"subjectAltName={names}"]
    extensions += [f"extendedKeyUsage={use}"] if use else []
    (directory / f"{name}.ext").write_text("\n".join(extensions) + "\n")
    request = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
    _openssl(directory, "req", "-newkey", *kind, "-nodes", "-subj", f"/CN={name}", *request)
    files = ("-in", f"{name}.csr", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    if expired:
        (directory / f"{name}.cnf").write_text(_CA_CONFIG.format(name=name))
        (directory / f"{name}.index").touch()
        dates = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
        by_whom = ("-config", f"{name}.cnf", "-cert", f"{by}.crt", "-keyfile", f"{by}.key")
        _openssl(directory, "ca", "-batch", "-notext", *dates, *by_whom, *files)
    else:
        _openssl(
            directory,
            *("x509", "-req", "-days", "30", "-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-CAcreateserial"),
            *files,
        )


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
