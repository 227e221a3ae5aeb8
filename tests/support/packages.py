"""The Debian package as people build it."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.core.version import VERSION
from tests.support.paths import TOP


def build_packages(directory: Path) -> list[Path]:
    """The Debian package as `make deb` builds it, and the same as one of the next version."""
    asked = ["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"]
    if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() != str(sys.version_info[:2]):
        pytest.skip("the package is for another version of Python than the system's")
    pip = Path(sys.executable).parent / "pip"
    done = subprocess.run([TOP / "scripts" / "make-deb", pip, directory], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first = Path(done.stdout.split()[-1])
    second = first.with_name(first.name.replace(VERSION, VERSION + "+1"))
    subprocess.run(["dpkg-deb", "--raw-extract", first, directory / "next"], check=True)
    control = directory / "next/DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSION}", f"Version: {VERSION}+1"))
    pack = ["dpkg-deb", "--root-owner-group", "--build", "-Zgzip", "-z1", str(directory / "next"), str(second)]
    subprocess.run(pack, check=True, capture_output=True)
    return [first, second]
