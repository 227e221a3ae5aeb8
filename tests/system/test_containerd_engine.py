"""The figures of a real engine with containerd's image store beside the answers of the engine and of containerd."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.core.content import Holder
from exporter.figures.figures import Figures
from exporter.figures.prunes import Category
from tests.support.containerd_states import fill, ingest, promised
from tests.support.product import Samples, document_of, figures_of, scan
from tests.support.todays_engine import TodaysEngine, todays_engine
from tests.support.waiting import eventually

_OPTIONED = {"memory", "bound"}
#: How the store of an engine is arranged: the engine starts containerd, or the host has one.
_ARRANGEMENTS = ("daemon", "host")


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.xdist_group(f"containerd {name}")) for name in _ARRANGEMENTS],
    scope="module",
)
def busy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TodaysEngine]:
    """An engine with everything that one can have, and pods beside it."""
    scratch = tmp_path_factory.mktemp("engine")
    with (
        TemporaryDirectory(prefix="e-") as short,
        todays_engine(scratch, Path(short), own_containerd=request.param == "host") as one,
    ):
        fill(one)
        yield one


def _figures(one: TodaysEngine, *, orphaned_after: float = 600) -> Samples:
    return figures_of(
        one.root, intermediate=True, each_layer=True, orphaned_after=orphaned_after, containerd=one.further
    )


def test_every_image_is_as_large_as_the_engine_says(busy: TodaysEngine) -> None:
    figures, told = _figures(busy), busy.ask("/images/json?all=1&manifests=1")
    for image in told:
        labels = {"image_id": image["Id"].removeprefix("sha256:")[:12], "namespace": "moby"}
        parts = image["Manifests"]
        assert figures("image_virtual_size_bytes", **labels) == image["Size"], image
        assert figures("image_content_size_bytes", **labels) == sum(one["Size"]["Content"] for one in parts)
        unpacked = (one["ImageData"]["Size"]["Unpacked"] for one in parts if "ImageData" in one)
        assert figures("image_unpacked_size_bytes", **labels) == sum(unpacked), image
        if image["Created"] > 0:
            assert figures("image_created_timestamp_seconds", **labels) // 1 == image["Created"]
        assert figures("image_containers", **labels) == max(0, image["Containers"]), image
    listed = {image["Id"].removeprefix("sha256:")[:12] for image in told}
    assert {found["image_id"] for found, _ in figures.all("image_virtual_size_bytes", namespace="moby")} == listed


def test_names_and_states_of_images_are_those_of_the_engine(busy: TodaysEngine) -> None:
    figures, told = _figures(busy), busy.ask("/images/json")
    tags = {f"{found['repository']}:{found['tag']}" for found, _ in figures.all("image_tag_info", namespace="moby")}
    assert tags == {tag for image in told for tag in image["RepoTags"] or ()}
    everything = {image["Id"] for image in busy.ask("/images/json?all=1")}
    hidden = everything - {image["Id"] for image in told}
    assert hidden, "the classic builder made some"
    states = {state: figures("images", driver=busy.driver, namespace="moby", state=state) for state in _STATES}
    used = {container["ImageID"] for container in busy.ask("/containers/json?all=1")}
    dangling = {image["Id"] for image in told if not image["RepoTags"]}
    assert states["intermediate"] == len(hidden)
    assert states["dangling"] == len(dangling - used)
    assert states["used"] == len({image["Id"] for image in told} & used)
    assert sum(states.values()) == len(everything)


_STATES = ("used", "unused", "dangling", "intermediate")


def test_images_share_what_they_hold_and_nothing_else(busy: TodaysEngine) -> None:
    """The shares of all images add up to the blobs and snapshots that images hold, each counted once."""
    figures, snapshot = _figures(busy), scan(busy.root, containerd=busy.further)
    content = snapshot.inventory.content
    assert content is not None
    held = content.marked(hold for hold in content.holds if hold.holder is Holder.IMAGE)
    blobs = {node.name for node in held if node.name in content.blobs}
    layers = {content.layers[node] for node in held if node in content.layers}
    sizes = Figures(snapshot).layer_sizes
    whole = sum(content.blobs[name].size or 0 for name in blobs) + sum(sizes[layer] for layer in layers)
    shown = {image.key for image in snapshot.inventory.images if image.listed}
    assert len(shown) < len(snapshot.inventory.images)
    assert figures.sum("image_proportional_size_bytes") == pytest.approx(whole, rel=0.002), (
        "but manifests of images that are hidden"
    )
    assert figures.sum("image_unique_size_bytes") < whole


def test_the_engine_adds_up_to_what_is_there(busy: TodaysEngine) -> None:
    """`docker system df`: all snapshots of Docker, and each blob of its images once."""
    figures, snapshot = _figures(busy), scan(busy.root, containerd=busy.further)
    content = snapshot.inventory.content
    assert content is not None
    blobs = {name for image in snapshot.inventory.images if image.namespace == "moby" for name in image.blobs}
    layers = figures.sum("layer_size_bytes", driver=busy.driver, namespace="moby")
    assert busy.ask("/system/df")["LayersSize"] == layers + sum(content.blobs[name].size or 0 for name in blobs)


def test_every_container_is_as_the_engine_says(busy: TodaysEngine) -> None:
    figures, told = _figures(busy), busy.ask("/containers/json?all=1&size=1")
    for container in told:
        name = container["Id"][:12]
        about = busy.ask(f"/containers/{container['Id']}/json?size=1")
        assert figures("container_writable_size_bytes", container_id=name) == about["SizeRw"], about["Name"]
        assert figures("container_virtual_size_bytes", container_id=name) == about["SizeRootFs"], about["Name"]
        assert figures("container_running", container_id=name) == about["State"]["Running"]
        assert figures.all("container_info", container_id=name, name=about["Name"][1:], namespace="moby")
    states = [container["State"] for container in told]
    for state in ("running", "paused", "exited", "created"):
        assert figures("containers", driver=busy.driver, namespace="moby", state=state) == states.count(state)


def test_volumes_are_as_the_engine_says(busy: TodaysEngine) -> None:
    figures, told = _figures(busy), busy.ask("/system/df")
    listed = {one["Name"] for one in busy.ask("/volumes")["Volumes"]}
    assert {labels["volume"] for labels, _ in figures.all("volume_info")} == listed
    assert listed - {one["Name"] for one in told["Volumes"]} == _OPTIONED
    for volume in told["Volumes"]:
        assert figures("volume_size_bytes", volume=volume["Name"]) == volume["UsageData"]["Size"]
        assert figures("volume_containers", volume=volume["Name"]) == volume["UsageData"]["RefCount"]


def test_the_build_cache_is_as_the_engine_says_before_and_after_it_was_asked(busy: TodaysEngine) -> None:
    """BuildKit works the sizes of its records out, and writes them down, when it is asked for them."""
    before, cache = _figures(busy), busy.ask("/system/df")["BuildCache"]
    for figures in (before, _figures(busy)):
        assert figures("build_cache_records") == len(cache)
        assert figures("build_cache_size_bytes") == sum(one["Size"] for one in cache if not one["Shared"])
        for record in cache:
            name, shared = record["ID"][:12], str(record["Shared"]).lower()
            assert figures.sum("build_cache_record_size_bytes", record_id=name) == record["Size"], record
            assert figures.all("build_cache_record_info", record_id=name, type=record["Type"], shared=shared), record


def test_the_build_history_has_the_builds_that_the_client_lists(busy: TodaysEngine) -> None:
    listed = busy.run("buildx", "history", "ls", "--format", "{{.Ref}}").split()
    assert len(listed) == busy.builds
    figures = _figures(busy)
    assert figures("build_history_records") == len(listed)
    assert figures("content_blobs", use="build_history") > len(listed)


def test_each_snapshot_is_as_large_as_containerd_says(busy: TodaysEngine) -> None:
    """Also those of the other namespace, and of the other snapshotter. Of Docker's layers none is left out."""
    figures = _figures(busy)
    seen = 0
    for namespace in ("moby", "k8s.io"):
        for snapshotter in ("overlayfs", "native"):
            sizes = sorted(_usage(busy, namespace, snapshotter))
            labels = {"driver": snapshotter, "namespace": namespace}
            assert sorted(size for _, size in figures.all("layer_size_bytes", **labels)) == sizes, labels
            seen += len(sizes)
    assert seen > len(_usage(busy, "moby", busy.driver))


def _usage(one: TodaysEngine, namespace: str, snapshotter: str) -> list[float]:
    lines = one.ctr(namespace, "snapshots", "--snapshotter", snapshotter, "usage", "-b").splitlines()[1:]
    return [float(line.split()[1]) for line in lines]


def test_images_and_containers_of_pods_are_those_of_containerd(busy: TodaysEngine) -> None:
    figures = _figures(busy)
    listed = set(busy.ctr("k8s.io", "images", "ls", "-q").split())
    tags = {f"{found['repository']}:{found['tag']}" for found, _ in figures.all("image_tag_info", namespace="k8s.io")}
    assert tags == listed
    pods = {(found["pod_namespace"], found["pod"], found["pod_container"], found["driver"]) for found in _pods(figures)}
    assert pods == {("default", "web-0", "web", "overlayfs"), ("default", "job-0", "job", "native")}


def _pods(figures: Samples) -> list[dict[str, str]]:
    return [labels for labels, _ in figures.all("container_info", namespace="k8s.io")]


def test_nothing_of_a_healthy_engine_is_orphaned_or_pending(busy: TodaysEngine) -> None:
    figures = _figures(busy, orphaned_after=0)
    assert figures.sum("layers", use="orphaned") == 0
    assert figures.sum("layers", use="pending") == figures("layers", use="pending", namespace="moby") == _BY_HAND
    assert figures("content_blobs", use="orphaned") == 0
    assert figures.sum("missing_layers") == 0
    assert figures.sum("scan_errors_total") == 0
    assert all(known for _, known in figures.all("known"))


#: The snapshot that was made with containerd's own client, which marks it as one to be kept.
_BY_HAND = 1


def test_each_root_adds_up(busy: TodaysEngine) -> None:
    subprocess.run(["sync", "--file-system", str(busy.root)], check=True)  # only then a file has its blocks
    figures = _figures(busy)
    further = busy.du_of_store() if busy.containerd_root else 0
    assert figures.sum("directory_allocated_bytes") == busy.du() + further
    if busy.containerd_root:
        assert figures.sum("directory_allocated_bytes", root=busy.further) == further


def test_a_blob_that_is_coming_in_is_an_ingest(busy: TodaysEngine) -> None:
    with ingest(busy):
        figures = _figures(busy, orphaned_after=0)
        assert figures("content_allocated_bytes", use="ingest") >= _INGESTED
        assert figures("content_blobs", use="orphaned") == 0
        assert figures.sum("scan_errors_total") == 0


_INGESTED = 200_000


def test_the_root_of_a_containerd_of_the_host_is_found(busy: TodaysEngine) -> None:
    found = [one.path for one in scan(busy.root, containerd="auto").further]
    assert found == ([busy.further] if busy.containerd_root else [])


def test_that_root_alone_has_the_images_of_all_namespaces(busy: TodaysEngine) -> None:
    if busy.containerd_root is None:
        pytest.skip("the engine starts containerd")
    alone, whole = figures_of(busy.containerd_root, orphaned_after=0), _figures(busy)
    for namespace in ("moby", "k8s.io"):
        sizes = {
            labels["image_id"]: size for labels, size in alone.all("image_virtual_size_bytes", namespace=namespace)
        }
        expected = whole.all("image_virtual_size_bytes", namespace=namespace)
        assert sizes.items() <= {(labels["image_id"], size) for labels, size in expected}
        assert sizes
    assert alone.sum("layers", use="orphaned") == 0
    assert alone.sum("scan_errors_total") == 0
    assert alone.sum("directory_allocated_bytes") == busy.du_of_store()


def test_each_command_frees_what_was_promised(busy: TodaysEngine) -> None:
    """The last of this engine's tests: nothing that it pruned is there for another."""
    rows = promised(busy)
    expected = {row.category: (row.bytes, row.objects) for row in rows}
    assert all(size and objects for size, objects in expected.values()), expected
    freed: dict[str, tuple[int, int]] = {}
    for row in rows:
        (command,) = row.commands
        assert row.bytes is not None
        before, objects, least = busy.held(), _objects(busy)[row.category], row.bytes
        busy.run(*command.split()[1:], *(() if "history" in command else ("--force",)))
        with contextlib.suppress(AssertionError):  # which is said below, of all
            eventually(lambda: before - busy.held() >= least, seconds=60)  # noqa: B023 - called at once
        freed[row.category] = before - busy.held(), objects - _objects(busy)[row.category]
    assert freed == expected
    left = {row.category: row.objects for row in document_of(busy.root, containerd=busy.further).reclaimable}
    assert left == dict.fromkeys(left, 0)
    assert {one["Name"] for one in busy.ask("/volumes")["Volumes"]} >= {"named", *_OPTIONED}


def _objects(one: TodaysEngine) -> dict[str, int]:
    """How many objects the engine lists for each category."""
    images = len(one.ask("/images/json"))
    return {
        Category.CONTAINERS_STOPPED: len(one.ask("/containers/json?all=1")),
        Category.IMAGES_DANGLING: images,
        Category.IMAGES_UNUSED: images,
        Category.VOLUMES_UNUSED: len(one.ask("/volumes")["Volumes"]),
        Category.BUILD_CACHE: len(one.ask("/system/df")["BuildCache"] or ()),
        Category.BUILD_HISTORY: len(one.run("buildx", "history", "ls", "--format", "{{.Ref}}").split()),
    }
