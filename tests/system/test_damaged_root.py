"""Every kind of input of a real engine's busy root is damaged, one after the other: no figure is wrong."""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.damage import DAMAGES, Said, inputs, is_exception
from tests.support.engine import Engine, engine
from tests.support.product import scan

#: How many paths of one kind are damaged.
_OF_A_KIND = 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an engine that was busy and has ended, without its mounts."""
    scratch = tmp_path_factory.mktemp("engine")
    with TemporaryDirectory(prefix="e-") as short, engine(scratch, Path(short), "overlay2") as one:
        _work(one)
        one.stop()
        copy = scratch / "copy"
        shutil.copytree(one.root, copy, symlinks=True, ignore=shutil.ignore_patterns("backingFsBlockDev"))
    return copy


def _work(one: Engine) -> None:
    one.base()
    one.build("app:1", "FROM base:1\nRUN echo app > /app\nLABEL a=b\nRUN echo more > /more\n")
    one.build("app:1", "FROM base:1\nRUN echo newer > /app\n")
    one.build("tool:1", "FROM base:1\nRUN echo tool > /tool\n", builder="1")
    one.build("lost:1", "FROM base:1\nRUN echo lost > /lost\n")
    one.run("volume", "create", "spare")
    one.run("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "options")
    own = ("--network", "none")
    one.run("run", *own, "--name", "done", "-v", "data:/v", "app:1", "sh", "-c", "echo a > /a")
    one.run("run", *own, "--name", "anonymous", "-v", "/v", "lost:1", "sh", "-c", "echo b > /v/b")
    one.run("create", *own, "--name", "from", "--volumes-from", "done", "base:1", "sh")
    one.run("rmi", "--force", "lost:1")


def _kinds(root: Path) -> list[Path]:
    """A few paths of each kind; ids and numbers in names make no kind."""
    kinds: dict[str, list[Path]] = {}
    for path in inputs(root):
        kinds.setdefault(re.sub(r"[0-9a-f]{64}|[0-9a-z]{25}", "ID", str(path)), []).append(path)
    return [path for paths in kinds.values() for path in paths[:_OF_A_KIND]]


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_no_figure_is_wrong_whatever_is_damaged(root: Path, damage: str, tmp_path: Path) -> None:
    sound = Said(scan(root, orphaned_after=0))
    assert len(sound.samples) > 100
    wrong: list[str] = []
    for path in _kinds(root):
        aside = tmp_path / "aside"
        _copy(root / path, aside)
        DAMAGES[damage](root / path)
        found = Said(scan(root, orphaned_after=0)).wrong(sound)
        _remove(root / path)
        _copy(aside, root / path)
        _remove(aside)
        if found and not is_exception(damage, path):
            wrong += [f"{path}: {one}" for one in found]
    assert not wrong, "\n".join(wrong)


def _copy(path: Path, to: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, to, symlinks=True)
    else:
        shutil.copy2(path, to, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
