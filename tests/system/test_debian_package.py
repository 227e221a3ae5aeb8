"""The Debian package, built as `make deb` builds it, in a root of its own: installed, run, upgraded, purged.

The root is an overlay on one that debootstrap has made of this machine's release (scripts/debian-root), and is thrown
away afterwards. With DEBIAN_ROOT, the path of another root, it is an overlay on that.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.core.version import VERSION
from exporter.demo import build_demo
from tests.support.chroots import fresh_root, run_in
from tests.support.paths import TOP
from tests.support.product import Samples, needs

_NAME = "docker-storage-exporter"
_OWN = [f"usr/lib/{_NAME}", f"usr/bin/{_NAME}", f"usr/share/doc/{_NAME}", f"usr/lib/systemd/system/{_NAME}.service"]
_OWN += [f"usr/share/man/man1/{_NAME}.1.gz", f"usr/share/{_NAME}"]
_OWN += [f"usr/lib/systemd/system/{_NAME}-textfile.{kind}" for kind in ("service", "timer")]
#: What is beside the program: for people, for Prometheus and Grafana, and for shells.
_BESIDE = (
    *(f"usr/share/{_NAME}/grafana/docker-storage{kind}.json" for kind in ("", "-fleet", ".v2", "-fleet.v2")),
    *(
        f"usr/share/{_NAME}/prometheus/{file}"
        for file in ("rules.yml", "rules.json", "prometheus.yml", "mixin.libsonnet")
    ),
    *(f"usr/share/{_NAME}/packaging/{kind}/kustomization.yaml" for kind in ("kubernetes", "kubernetes-containerd")),
    f"usr/share/bash-completion/completions/{_NAME}",
    f"usr/share/zsh/vendor-completions/_{_NAME}",
    f"usr/share/fish/vendor_completions.d/{_NAME}.fish",
)
_SETTINGS = (f"etc/default/{_NAME}", f"etc/{_NAME}")
pytestmark = [
    pytest.mark.xdist_group("packages"),
    needs("dpkg-deb"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a root of its own needs root"),
    pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="this is not Debian"),
]
Chroot = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with fresh_root(tmp_path) as top:
        yield top


@pytest.fixture
def chroot(root: Path) -> Chroot:
    return functools.partial(run_in, root)


def test_it_is_installed_run_upgraded_and_purged(packages: list[Path], root: Path, chroot: Chroot) -> None:
    for one in packages:
        shutil.copy(one, root / "tmp")
    before = _listing(root)

    # As docs/install.md has it: all that it depends on is there, so nothing is downloaded.
    done = chroot("apt-get", "install", "--yes", f"/tmp/{packages[0].name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert VERSION in chroot(_NAME, "--version").stdout
    assert chroot("getent", "passwd", _NAME).stdout
    wanted = root / "etc/systemd/system/multi-user.target.wants" / f"{_NAME}.service"
    assert wanted.is_symlink(), "it starts with the machine"
    assert chroot("dpkg", "--verify", _NAME).stdout == ""
    for settings in (f"/etc/{_NAME}/config.yml",):
        assert chroot(_NAME, "check-config", settings).returncode == 0

    assert [one for one in (*_OWN, *_BESIDE) if not (root / one).exists()] == []
    documents = {one.relative_to(TOP) for one in (TOP / "docs").rglob("*.md")}
    for document in (Path("README.md"), *documents):
        shown = chroot("cat", f"/usr/share/doc/{_NAME}/{document}")
        assert shown.stdout == (TOP / document).read_text(), shown.stderr
    rules = (root / f"usr/share/{_NAME}/prometheus/rules.yml").read_text()
    assert chroot(_NAME, "rules").stdout == rules

    _runs_as_its_user(root, chroot)

    (root / f"etc/{_NAME}/config.yml").write_text("scan.interval: 120\n")
    done = chroot("dpkg", "--force-confold", "-i", f"/tmp/{packages[1].name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert VERSION + "+1" in chroot("dpkg-query", "-W", _NAME).stdout
    assert (root / f"etc/{_NAME}/config.yml").read_text() == "scan.interval: 120\n"
    assert chroot(_NAME, "--version").returncode == 0

    assert chroot("dpkg", "-r", _NAME).returncode == 0
    assert [one for one in _OWN if (root / one).exists()] == []
    assert all((root / one).exists() for one in _SETTINGS), "removing keeps the settings"

    assert chroot("dpkg", "-P", _NAME).returncode == 0
    assert not chroot("getent", "passwd", _NAME).stdout
    assert _listing(root) - before == set(), "purging leaves nothing"
    assert not wanted.is_symlink()


def _runs_as_its_user(root: Path, chroot: Chroot) -> None:
    """With its one capability it reads what belongs to root alone, and without it says that it cannot."""
    data = root / "srv" / "docker"
    build_demo(data)
    data.chmod(0o700)
    for one in data.iterdir():
        one.chmod(0o700)
    capability = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    drop = ["--bounding-set=-all,+dac_read_search", "--no-new-privs", "--clear-groups"]
    user = ["setpriv", f"--reuid={_NAME}", f"--regid={_NAME}"]
    done = chroot(*user, *capability, *drop, "--", _NAME, "once", "--root", "/srv/docker")
    assert done.returncode == 0, done.stderr
    assert Samples(done.stdout).all("image_virtual_size_bytes")
    done = chroot(*user, *drop, "--", _NAME, "once", "--root", "/srv/docker")
    assert done.returncode == 1
    assert Samples(done.stdout)("up") == 0
    shutil.rmtree(data)


def _listing(root: Path) -> set[str]:
    """What is below the places that a package may write to, apart from the records of dpkg and apt."""
    found = set()
    for top in ("etc", "usr/lib", "usr/bin", "usr/share", "var/lib", "srv"):
        for directory, directories, files in os.walk(root / top):
            if "var/lib/dpkg" in directory or "var/lib/apt" in directory or "docker/" in directory + "/":
                directories.clear()
                continue
            found |= {os.path.join(directory, one) for one in (*files, *directories)}
    backups = ("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-")
    return {one for one in found if "__pycache__" not in one and not one.endswith(backups)}


@needs("lintian")
def test_lintian_finds_nothing_that_is_not_explained(packages: list[Path]) -> None:
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", str(packages[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
