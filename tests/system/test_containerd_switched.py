"""An engine that works with another snapshotter than before: all images, and its own containers and records."""

from pathlib import Path
from tempfile import TemporaryDirectory

from exporter.figures.prunes import Category
from tests.support.containerd_states import promised, settle
from tests.support.product import Samples, figures_of
from tests.support.todays_engine import TodaysEngine, todays_engine
from tests.support.waiting import eventually

_BUILD = """
FROM base:{name}
RUN dd if=/dev/zero of=/{name} bs=1k count=100
RUN --mount=type=cache,target=/cache echo {name} > /cache/{name}; rm /{name}
"""


def test_an_engine_with_another_snapshotter_than_before(tmp_path: Path) -> None:
    scratch = tmp_path / "engine"
    scratch.mkdir()
    with TemporaryDirectory(prefix="e-") as short, todays_engine(scratch, Path(short), own_containerd=True) as one:
        _fill(one, "first")
        settle(one)
        one.stop()
        one.driver = "native"
        one.start()
        _compare(one)
        _fill(one, "second")
        settle(one)
        _compare(one)
        rows = {row.category: row for row in promised(one)}
        assert rows[Category.IMAGES_UNUSED].why, "what the containers of the other snapshotter use is not known"
        before = one.held()
        one.run("container", "prune", "--force")
        eventually(lambda: before - one.held() == rows[Category.CONTAINERS_STOPPED].bytes)
        less = one.held()
        one.run("builder", "prune", "--all", "--force")
        eventually(lambda: less - one.held() == rows[Category.BUILD_CACHE].bytes)


def _fill(one: TodaysEngine, name: str) -> None:
    one.base(f"base:{name}")
    one.build(f"kit:{name}", _BUILD.format(name=name), builder="1")
    one.run("run", "--network", "none", "--name", name, f"kit:{name}", "sh", "-c", "echo 1 > /1")


def _compare(one: TodaysEngine) -> None:
    figures = figures_of(one.root, containerd=one.further)
    for image in one.ask("/images/json"):
        name = image["Id"].removeprefix("sha256:")[:12]
        assert figures("image_virtual_size_bytes", image_id=name) == image["Size"], image
    loaded = {labels["name"] for labels in _loaded(one, figures)}
    assert loaded == set(one.run("ps", "-a", "--format", "{{.Names}}").split())
    assert figures("build_cache_records") == len(one.ask("/system/df")["BuildCache"] or ())


def _loaded(one: TodaysEngine, figures: Samples) -> list[dict[str, str]]:
    return [labels for labels, _ in figures.all("container_info", driver=one.driver)]
