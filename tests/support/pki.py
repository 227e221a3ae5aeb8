"""Certificates for tests, made with the openssl command."""

import subprocess
from pathlib import Path


def authority(directory: Path, name: str = "ca") -> None:
    """Make a certificate authority: `name`.crt and `name`.key."""
    _openssl(
        directory,
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"),
        *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"),
    )


def signed(  # noqa: PLR0913 - what a certificate is made of
    directory: Path, name: str, names: str, by: str = "ca", *, rsa: bool = False, days: int = 30, use: str = ""
) -> None:
    """Make a certificate with these alternative names, signed by an authority, `use` being its only extended one."""
    kind = ("rsa:2048",) if rsa else ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    (directory / f"{name}.ext").write_text(f"subjectAltName={names}\n" + (f"extendedKeyUsage={use}\n" if use else ""))
    request = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
    _openssl(directory, "req", "-newkey", *kind, "-nodes", "-subj", f"/CN={name}", *request)
    _openssl(
        directory,
        *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-CAcreateserial"),
        *("-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.crt"),
    )


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
