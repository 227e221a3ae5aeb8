import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from exporter.core.version import VERSION
from exporter.measure.pool.pool import Pool
from tests.support.paths import SHARED, TOP

# How long an example takes says nothing about the product, and on a busy machine makes tests fail.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[str], Path]:
    """Unpack a recorded data root; skip where the recordings are not there."""

    def unpack(name: str) -> Path:
        archive = SHARED / "roots" / name
        if not archive.exists():
            pytest.skip("the recorded data roots are not on this machine")
        with tarfile.open(archive) as members:
            members.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # they hold devices and links
            members.extractall(tmp_path, numeric_owner=True)
        return tmp_path / "docker"

    return unpack


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The Debian package as `make deb` builds it, and the same as one of the next version."""
    asked = ["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"]
    if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() != str(sys.version_info[:2]):
        pytest.skip("the package is for another version of Python than the system's")
    directory = tmp_path_factory.mktemp("deb")
    pip = Path(sys.executable).parent / "pip"
    done = subprocess.run([TOP / "scripts" / "make-deb", str(pip)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first = Path(shutil.move(TOP / done.stdout.split()[-1], directory))
    second = first.with_name(first.name.replace(VERSION, VERSION + "+1"))
    subprocess.run(["dpkg-deb", "--raw-extract", first, directory / "next"], check=True)
    control = directory / "next/DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSION}", f"Version: {VERSION}+1"))
    pack = ["dpkg-deb", "--root-owner-group", "--build", "-Zgzip", "-z1", str(directory / "next"), str(second)]
    subprocess.run(pack, check=True, capture_output=True)
    return [first, second]


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2, 30) as workers:
        yield workers
