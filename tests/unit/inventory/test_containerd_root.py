"""Whose containerd it is: a root beside the data root is read only if it has what the data root has."""

import itertools
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.data_root import DataRoot, Untaken
from exporter.core.hang_probe import HANG_PROBE
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.inventory import containerd_places, containerd_proof, containerd_root
from exporter.inventory.containerd_proof import Known, Store
from exporter.inventory.containerd_root import ContainerdRoot
from exporter.inventory.image_store.store import METADATA
from tests.support.roots.layerdb import DbRoot
from tests.support.roots.two import CONTAINERD, two_roots

_IMAGE = "docker.io/library/base:1"


@pytest.fixture(autouse=True)
def _nothing_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containerd_places, "CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr(containerd_root, "CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr(containerd_places, "DEFAULT", str(tmp_path / "no default"))
    monkeypatch.setattr(containerd_places, "overlay_directories", list)


def _found(data: Path, setting: str = "auto") -> tuple[tuple[str, ...], tuple[Untaken, ...]]:
    with DataRoot(str(data)) as root:
        ContainerdRoot(setting).attach(root)
        return root.further, root.untaken


def _image(built: ContainerdWriter) -> oci.OciManifest:
    return built.image(_IMAGE, [oci.layer({"a": b"a"})])


def _empty(path: Path) -> ContainerdWriter:
    """Both roots, with an image and nothing else."""
    return two_roots(path)


def test_the_root_with_the_containers_of_the_data_root_is_taken(tmp_path: Path) -> None:
    built = two_roots(tmp_path, "web", "db")
    assert _found(built.root) == ((str(tmp_path / CONTAINERD),), ())


def test_none_is_read_where_that_is_said(tmp_path: Path) -> None:
    assert _found(two_roots(tmp_path, "web").root, "none") == ((), ())


def test_the_root_of_another_engine_is_named_with_the_reason(tmp_path: Path) -> None:
    mine, other = (tmp_path / name for name in ("mine", "other"))
    for place in (mine, other):
        place.mkdir()
    built = two_roots(mine, "web", "db")
    two_roots(other, "theirs")
    shutil.rmtree(mine / CONTAINERD)
    (other / CONTAINERD).rename(mine / CONTAINERD)
    why = "it has none of the 2 containers of the data root"
    assert _found(built.root) == ((), (Untaken(str(mine / CONTAINERD), why, possible=True),))


def test_build_records_prove_it_where_there_are_no_containers(tmp_path: Path) -> None:
    built = _empty(tmp_path)
    built.build_record("step", files={"a": b"a"})
    built.write()
    assert _found(built.root)[0] == (str(tmp_path / CONTAINERD),)
    built.remove_record("step")
    built.history("build", {"log": b"l"})
    built.write()
    assert _found(built.root)[0] == (str(tmp_path / CONTAINERD),)


def test_builds_of_another_engine_are_no_proof(tmp_path: Path) -> None:
    built = _empty(tmp_path)
    built.build_record("step", files={"a": b"a"})
    built.write()
    other = tmp_path / "other"
    other.mkdir()
    shutil.rmtree(tmp_path / CONTAINERD)
    two_roots(other)
    (other / CONTAINERD).rename(tmp_path / CONTAINERD)
    (named,) = _found(built.root)[1]
    assert named.why == "it has none of the builds of the data root"


def test_builds_are_no_proof_where_the_containers_are_elsewhere(tmp_path: Path) -> None:
    built = _empty(tmp_path)
    built.build_record("step", files={"a": b"a"})
    built.write()
    (built.root / "containers" / ("a" * 64)).mkdir()
    assert _found(built.root)[0] == ()


def test_without_containers_and_builds_nothing_proves_it(tmp_path: Path) -> None:
    built = _empty(tmp_path)
    (named,) = _found(built.root)[1]
    assert named == Untaken(str(tmp_path / CONTAINERD), containerd_root._NO_PROOF, possible=True)


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ContainerdWriter:
    """Both roots in the usual places of a host."""
    built = _empty(tmp_path)
    monkeypatch.setattr(containerd_root, "DEFAULT_ROOT", str(built.root))
    monkeypatch.setattr(containerd_places, "DEFAULT", str(tmp_path / CONTAINERD))
    return built


def test_in_the_usual_places_nothing_may_speak_against_it(usual: ContainerdWriter, tmp_path: Path) -> None:
    assert _found(usual.root) == ((str(tmp_path / CONTAINERD),), ())
    usual.moby.snapshot("f" * 64, kind="active")  # a container of another engine
    usual.write()
    (named,) = _found(usual.root)[1]
    assert named.why == "it has the layers of 1 containers that the data root does not know"


def test_a_containerd_without_anything_of_docker_is_not_named(usual: ContainerdWriter) -> None:
    usual.store.tree.clear()
    usual.store.namespaces.clear()
    kubernetes = usual.store.namespace("k8s.io")
    kubernetes.snapshot("f" * 64, kind="active")
    usual.write()
    assert _found(usual.root) == ((), (Untaken("", containerd_root._NOT_FOUND),))


@pytest.mark.parametrize("name", ["moby-100000.100000", "mine"])
def test_the_namespace_may_be_another(tmp_path: Path, name: str) -> None:
    data = tmp_path / "docker"
    data.mkdir()
    built = ContainerdWriter(data, home=tmp_path / CONTAINERD)
    built.moby = built.store.namespace(name)
    built.container("web", "base:1", _image(built))
    built.write()
    assert _found(data)[0] == (str(tmp_path / CONTAINERD),)


def test_the_containerd_of_a_remapped_engine_is_beside_the_root_of_the_user(tmp_path: Path) -> None:
    data = tmp_path / "100000.100000"
    data.mkdir()
    built = ContainerdWriter(data, home=tmp_path / "containerd/daemon")
    built.moby = built.store.namespace("moby-100000.100000")
    built.container("web", "base:1", _image(built))
    built.write()
    assert _found(data)[0] == (str(tmp_path / "containerd/daemon"),)


def test_two_engines_may_have_one_containerd(tmp_path: Path) -> None:
    first = two_roots(tmp_path, "web")
    (tmp_path / "second").mkdir()
    second = ContainerdWriter(tmp_path / "second", home=tmp_path / CONTAINERD)
    second.store = first.store
    second.moby = first.store.namespace("moby2")
    second.container("db", "base:1", _image(second))
    second.write()
    for built in (first, second):
        assert _found(built.root)[0] == (str(tmp_path / CONTAINERD),)


def test_a_containerd_below_the_data_root_is_no_second_root(tmp_path: Path) -> None:
    data = tmp_path / "docker"
    data.mkdir()
    built = ContainerdWriter(data)
    built.container("web", "base:1", _image(built))
    built.write()
    two = tmp_path / "two"
    two.mkdir()
    (two_roots(two, "other").root.parent / CONTAINERD).rename(tmp_path / CONTAINERD)
    assert _found(data) == ((), ())
    assert _found(data, str(data / "containerd/daemon")) == ((), ())


def test_an_empty_containerd_below_the_data_root_is_passed_over(tmp_path: Path) -> None:
    built = two_roots(tmp_path, "web")
    ContainerdWriter(built.root).store.write()  # left behind by the time before the host had a containerd
    assert _found(built.root)[0] == (str(tmp_path / CONTAINERD),)


def test_a_data_root_that_is_of_containerd_itself_needs_none(tmp_path: Path) -> None:
    two_roots(tmp_path, "web")
    assert _found(tmp_path / CONTAINERD) == ((), ())


def test_the_containerd_of_an_engine_with_overlay2_is_not_even_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = DbRoot(tmp_path / "engine").layer("base", 10).image("base", "base", ["base:1"])
    made.container("web", "base", "base")
    tasks = two_roots(tmp_path)  # it has the containers that run, and none of their layers
    for name in os.listdir(made.path / "containers"):
        tasks.moby.container(name, "base:1")
    tasks.write()
    (tmp_path / CONTAINERD).rename(made.path.parent / "containerd")

    def read(home: str) -> Store:
        raise AssertionError(home)

    monkeypatch.setattr(containerd_root, "read_store", read)
    monkeypatch.setattr(containerd_places, "DEFAULT", str(made.path.parent / "containerd"))
    assert _found(made.path) == ((), ())


def test_an_engine_that_went_back_to_overlay2_has_left_its_images(tmp_path: Path) -> None:
    built = two_roots(tmp_path, "old")
    other = (
        DbRoot(tmp_path / "other").layer("base", 10).image("base", "base", ["base:1"]).container("w", "base", "base")
    )
    for name in ("image", "overlay2"):
        shutil.copytree(other.path / name, built.root / name, symlinks=True)
    shutil.copytree(other.path / "containers", built.root / "containers", dirs_exist_ok=True)
    assert _found(built.root)[0] == (str(tmp_path / CONTAINERD),)
    shutil.rmtree(built.root / "buildkit")
    shutil.rmtree(built.root / "rootfs")
    assert _found(built.root)[0] == (str(tmp_path / CONTAINERD),)


def test_of_a_copy_the_one_with_more_containers_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = two_roots(tmp_path, "web")
    shutil.copytree(tmp_path / CONTAINERD, tmp_path / "former", symlinks=True)
    built.container("db", "base:1", _image(built))
    built.write()
    (tmp_path / "config.toml").write_text(f'root = "{tmp_path / "former"}"')
    assert _found(built.root)[0] == (str(tmp_path / CONTAINERD),)
    uppers = [f"{tmp_path / 'former'}/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs"]
    monkeypatch.setattr(containerd_places, "overlay_directories", lambda: uppers)
    assert _found(built.root)[0] == (str(tmp_path / CONTAINERD),)
    shutil.rmtree(tmp_path / CONTAINERD)
    assert _found(built.root)[0] == (str(tmp_path / "former"),)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("none/of/it", "does not exist"),
        ("file", "is not a directory"),
        ("docker/volumes", f"is not the root of a containerd: it has no {METADATA}"),
        ("", "is not the root of a containerd"),
        ("around", "the data root lies in it"),
    ],
)
def test_a_path_that_is_no_root_of_a_containerd_is_named(tmp_path: Path, setting: str, why: str) -> None:
    built = two_roots(tmp_path, "web")
    (tmp_path / "file").write_text("x")
    if setting == "around":
        (tmp_path / METADATA).mkdir()
        setting = ""
    (named,) = _found(built.root, str(tmp_path / setting))[1]
    assert why in named.why
    assert not named.possible


def test_a_path_that_is_given_needs_no_proof(tmp_path: Path) -> None:
    built = _empty(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / CONTAINERD)
    assert _found(built.root, str(tmp_path / "link"))[0] == (str(tmp_path / CONTAINERD),)


@pytest.mark.parametrize("damage", ["garbage", "link", "gone"])
def test_a_damaged_containerd_is_named(tmp_path: Path, damage: str) -> None:
    built = two_roots(tmp_path, "web")
    metadata = tmp_path / CONTAINERD / METADATA
    if damage == "garbage":
        (metadata / "meta.db").write_bytes(b"x" * 9000)
    elif damage == "link":
        metadata.rename(tmp_path / "real")
        metadata.symlink_to(tmp_path / "real")
    else:
        shutil.rmtree(metadata)
    further, untaken = _found(built.root)
    assert not further
    assert len(untaken) == 1
    assert (untaken[0].path == "") == (damage == "gone")


class _Kept:
    """One data root after the other, opened with one memory of what was found."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.containerd = ContainerdRoot("auto")
        self._data = data
        clock = itertools.count(0, 1000)
        monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))

    def __call__(self) -> tuple[str, ...]:
        with DataRoot(str(self._data)) as root:
            self.containerd.attach(root)
            self.untaken = root.untaken
            return root.further


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], _Kept]:
    return lambda data: _Kept(data, monkeypatch)


def test_what_was_proved_once_holds_without_a_container(tmp_path: Path, kept: Callable[[Path], _Kept]) -> None:
    built = two_roots(tmp_path, "web")
    find = kept(built.root)
    assert find() == (str(tmp_path / CONTAINERD),)
    for name in os.listdir(built.root / "containers"):
        shutil.rmtree(built.root / "containers" / name)
    assert find() == (str(tmp_path / CONTAINERD),)
    assert _found(built.root)[0] == ()


def test_a_root_that_comes_later_or_again_is_taken(tmp_path: Path, kept: Callable[[Path], _Kept]) -> None:
    built = two_roots(tmp_path, "web")
    find = kept(built.root)
    (tmp_path / CONTAINERD).rename(tmp_path / "away")
    assert find() == ()
    assert find.untaken == (Untaken("", containerd_root._NOT_FOUND),)
    (tmp_path / "away").rename(tmp_path / CONTAINERD)
    assert find() == (str(tmp_path / CONTAINERD),)
    assert not find.containerd.changed
    shutil.copytree(tmp_path / CONTAINERD, tmp_path / "copy", symlinks=True)
    shutil.rmtree(tmp_path / CONTAINERD)
    assert find.containerd.changed
    assert find() == ()
    assert find.untaken == (Untaken(str(tmp_path / CONTAINERD), "does not exist"),)
    (tmp_path / "copy").rename(tmp_path / CONTAINERD)
    assert find() == (str(tmp_path / CONTAINERD),)
    assert find.untaken == ()


def test_nothing_is_read_again_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = two_roots(tmp_path, "web")
    reads: list[str] = []
    real = containerd_proof.read_store

    def counted(home: str) -> Store:
        reads.append(home)
        return real(home)

    monkeypatch.setattr(containerd_root, "read_store", counted)
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    containerd = ContainerdRoot("auto")
    for _ in range(3):
        with DataRoot(str(built.root)) as root:
            containerd.attach(root)
    assert reads == [str(tmp_path / CONTAINERD)]


def _further(containerd: ContainerdRoot, path: Path) -> tuple[str, ...]:
    """The further roots of a data root that is opened now."""
    with DataRoot(str(path)) as root:
        containerd.attach(root)
        return root.further


def test_a_container_that_is_made_makes_it_search_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = _empty(tmp_path)
    now = 5.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    containerd = ContainerdRoot("auto")
    assert _further(containerd, built.root) == ()
    built.container("web", "base:1", _image(built))
    built.write()
    assert _further(containerd, built.root) == ()  # not for each one of many containers
    now += 5
    assert _further(containerd, built.root) == (str(tmp_path / CONTAINERD),)


def test_a_container_that_was_looked_at_while_it_was_made_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = two_roots(tmp_path, "web")
    (built.root / "image" / "overlay2" / "layerdb").mkdir(parents=True)
    (config,) = built.root.glob("containers/*/config.v2.json")
    config.rename(tmp_path / "aside")
    now = 5.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    containerd = ContainerdRoot("auto")
    assert _further(containerd, built.root) == ()
    (tmp_path / "aside").rename(config)
    now += 60
    assert _further(containerd, built.root) == (str(tmp_path / CONTAINERD),)


def test_of_another_data_root_nothing_holds(tmp_path: Path) -> None:
    built = two_roots(tmp_path, "web")
    containerd = ContainerdRoot("auto")
    with DataRoot(str(built.root)) as root:
        containerd.attach(root)
        assert root.further
    built.root.rename(tmp_path / "former")
    (built.root / "containers" / ("a" * 64)).mkdir(parents=True)
    (built.root / "engine-id").write_text("x")
    with DataRoot(str(built.root)) as root:
        containerd.attach(root)
        assert root.further == ()
        assert [one.why for one in root.untaken] == ["it has none of the 1 containers of the data root"]


def test_an_error_that_nobody_has_foreseen_leaves_the_data_root_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(containerd_root, "Evidence", fail)
    (named,) = _found(two_roots(tmp_path, "web").root)[1]
    assert "ZeroDivisionError" in named.why


def test_a_containerd_on_a_filesystem_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = two_roots(tmp_path, "web")
    monkeypatch.setattr(HANG_PROBE, "answers", lambda path: CONTAINERD not in path)
    given = str(tmp_path / CONTAINERD)
    assert _found(built.root, given)[1] == (Untaken(given, "its filesystem does not answer"),)
    assert _found(built.root)[0] == ()


def test_the_containerd_below_the_data_root_is_not_read_for_each_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "docker"
    data.mkdir()
    built = ContainerdWriter(data)
    built.container("web", "base:1", _image(built))
    built.write()
    reads: list[str] = []
    real = containerd_proof.read_store

    def counted(home: str) -> Store:
        reads.append(home)
        return real(home)

    monkeypatch.setattr(containerd_root, "read_store", counted)
    clock = itertools.count(0, 100)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    containerd = ContainerdRoot("auto")
    for number in range(3):
        (data / "containers" / (str(number) * 64)).mkdir()
        with DataRoot(str(data)) as root:
            containerd.attach(root)
            assert containerd.search.settled
    assert len(reads) == 1


_KEYS = st.frozensets(st.text("ab", min_size=1, max_size=2), max_size=5)


class _Says:
    """Evidence that a test makes up."""

    def __init__(self, containers: frozenset[str], builds: frozenset[str]) -> None:
        self.containers = containers
        self.builds = builds


@given(containers=_KEYS, builds=_KEYS, snapshots=_KEYS, leases=_KEYS)
def test_a_store_is_right_only_if_it_has_a_container_or_without_any_a_build(
    containers: frozenset[str], builds: frozenset[str], snapshots: frozenset[str], leases: frozenset[str]
) -> None:
    store = Store({"moby": Known(snapshots, leases, images=False)})
    says: containerd_proof.Evidence = _Says(containers, builds)  # type: ignore[assignment]
    wanted = containers & snapshots if containers else builds & (snapshots | leases)
    assert bool(store.score(says)) == bool(wanted)


def test_the_root_that_a_container_does_not_see_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = two_roots(tmp_path, "web")
    shutil.rmtree(tmp_path / CONTAINERD)
    uppers = ["/not here/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs"]
    monkeypatch.setattr(containerd_places, "overlay_directories", lambda: uppers)
    assert _found(built.root)[1] == (Untaken("/not here", containerd_root._HIDDEN),)
