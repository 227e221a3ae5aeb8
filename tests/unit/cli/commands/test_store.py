"""What the commands show of a containerd image store: namespaces, platforms, pods, and the parts of the store."""

from pathlib import Path

import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.containers import containers
from exporter.cli.commands.df import df
from exporter.cli.commands.image_tree import tree
from exporter.cli.commands.images import images
from exporter.cli.commands.index import Index
from exporter.cli.commands.layers import layers
from exporter.cli.commands.stranger import checked
from exporter.cli.commands.tables import Answer, Lines, Table
from exporter.cli.commands.whose import whose
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.demo.layerdb import LayerdbWriter
from exporter.expose.snapshot_api.rows import Document
from tests.support.product import document_of
from tests.support.roots.containerd import APP, BASE, POD, STEP, container_id, store_root
from tests.support.usage import allocated


@pytest.fixture
def writer(tmp_path: Path) -> ContainerdWriter:
    return store_root(tmp_path / "docker")


@pytest.fixture
def document(writer: ContainerdWriter) -> Document:
    return document_of(writer.root)


def _table(answer: Answer) -> list[dict[str, object]]:
    table = next(one for one in answer.parts if isinstance(one, Table))
    return [dict(zip((one.heading for one in table.shapes), row, strict=True)) for row in table.rows]


def _lines(answer: Answer) -> list[str]:
    return [line for one in answer.parts if isinstance(one, Lines) for line in (one.title, *one.lines) if line]


def test_images_are_told_apart_by_namespace_and_have_their_platforms(document: Document) -> None:
    rows = _table(images(Index(document), intermediate=False))
    shown = {(row["NAMESPACE"], row["REPOSITORY"], row["PLATFORMS"]) for row in rows}
    assert shown == {
        ("moby", "base", "linux/amd64"),
        ("moby", "registry.example/team/app", "linux/amd64, linux/arm64"),
        ("k8s.io", "docker.io/library/base", "linux/amd64"),
    }
    app = next(row for row in document.images if "registry.example/team/app:2" in row.references)
    assert app.content is not None
    assert app.unpacked is not None
    assert app.virtual == app.content + app.unpacked


def test_the_tree_follows_the_snapshots_parents_in_each_namespace(document: Document) -> None:
    lines = _lines(tree(Index(document), full=False))
    base, app = (line for line in lines if "Tags: base:1" in line or "team/app" in line)
    assert lines.index("driver overlayfs, namespace moby") > lines.index("driver overlayfs, namespace k8s.io")
    assert lines.index(app) == lines.index(base) + 1
    assert app.startswith("  └─")
    assert app.endswith("Tags: registry.example/team/app:2 Platforms: linux/amd64, linux/arm64")


def test_a_container_of_a_pod_is_called_by_its_pod(document: Document) -> None:
    rows = {row["NAME"]: row["NAMESPACE"] for row in _table(containers(Index(document)))}
    assert rows == {"web": "moby", "default/agent-1/agent": "k8s.io"}


def test_a_snapshot_is_called_by_its_key(document: Document) -> None:
    rows = _table(layers(Index(document), "", orphaned=False))
    owners = {(row["LAYER"], row["BELONGS TO"]) for row in rows}
    web = container_id("web")[:12]
    assert {(web, "container web"), (f"{web}-init", "container web")} <= owners


def test_the_document_passes_the_check_of_another_exporters(document: Document) -> None:
    assert checked(document) == document


def test_df_shows_the_store_by_use_and_by_namespace(document: Document) -> None:
    answer = df(document)
    tables = {one.title: one for one in answer.parts if isinstance(one, Table)}
    rows = tables["Image store of containerd in containerd/daemon"].rows
    parts = {str(row[2]).partition(":")[0]: row[1] for row in rows}
    assert parts == {
        "snapshots of images": 3,
        "snapshots of containers": 3,
        "snapshots of the build cache": 1,
        "content of images": 10,
        "content of the build cache": 1,
        "build history": 2,
        "content on its way": 1,
    }
    (namespaces,) = (one for title, one in tables.items() if title.startswith("Namespaces"))
    assert [row[:2] for row in namespaces.rows] == [
        ("k8s.io", "Kubernetes"),
        ("moby", "Docker"),
        ("moby_history", "Docker's build history"),
    ]
    assert any("docker buildx history rm --all" in line for line in _lines(answer))


def _owners(document: Document, given: object) -> list[tuple[str, str]]:
    owners = whose(Index(document), str(given)).data["owners"]
    return [(one["kind"], one["text"]) for one in owners]


def test_a_blob_is_of_all_that_keeps_it(writer: ContainerdWriter, document: Document) -> None:
    path = writer.store.blob_path(BASE.blob.digest)
    ((kind, text),) = _owners(document, path)
    assert kind == "blob"
    assert "image docker.io/library/base:1, image registry.example/team/app:2" in text
    assert text.endswith("in the namespaces k8s.io, moby")
    for given in (BASE.blob.digest, BASE.blob.digest[7:], BASE.blob.digest[:20]):
        assert _owners(document, given) == [(kind, text)]


def test_a_blob_of_the_build_cache_is_of_its_record(document: Document) -> None:
    ((_, text),) = _owners(document, STEP.blob.digest)
    assert "content of the build cache; kept by build record" in text


def test_a_directory_of_a_snapshot_is_its_containers_or_images(writer: ContainerdWriter, document: Document) -> None:
    assert _owners(document, writer.moby.snapshot_directory(container_id("web")) / "fs/tmp/x")[0][0] == "container"
    top = writer.moby.snapshot_directory(writer.top(writer.target("registry.example/team/app:2")))
    ((kind, text),) = _owners(document, top / "fs/srv/app")
    assert (kind, "image registry.example/team/app:2" in text) == ("layer", True)
    pod = writer.store.namespace("k8s.io").snapshot_directory(POD)
    assert _owners(document, pod)[0][1].startswith("default/agent-1/agent")


def test_an_ingest_says_how_much_is_there(writer: ContainerdWriter, document: Document) -> None:
    (home,) = writer.store.ingests.iterdir()
    ((kind, text),) = _owners(document, home / "data")
    assert (kind, text.partition(":")[0]) == ("ingest", "moby/1/layer-0")


def test_the_owners_in_a_second_root_are_found(tmp_path: Path) -> None:
    writer = store_root(tmp_path / "docker", tmp_path / "containerd")
    document = document_of(writer.root, containerd=str(writer.store.home))
    assert checked(document) == document
    assert _owners(document, writer.store.home)[0][0] == "root"
    assert _owners(document, writer.store.blob_path(APP.blob.digest))[0][0] == "blob"
    assert _owners(document, writer.moby.snapshot_directory(container_id("web")))[0][0] == "container"
    assert _owners(document, writer.store.home / "io.containerd.metadata.v1.bolt")[0][0] == "part"


def test_two_stores_in_one_root_are_named(tmp_path: Path) -> None:
    writer = store_root(tmp_path / "docker")
    LayerdbWriter(writer.root).layer("old", 5000).image("old", "old", ["old:1"])
    assert any("hides those of the other and frees nothing" in line for line in _lines(df(document_of(writer.root))))


def test_of_snapshots_that_are_no_directories_only_what_is_written_down_is_shown(tmp_path: Path) -> None:
    writer = ContainerdWriter(tmp_path / "docker", "devmapper")
    target = oci.manifest([BASE])
    writer.moby.pull(target, unpack=False)
    writer.moby.snapshot(target.chains[0], size=40_960)
    writer.container("web", "base:1", writer.image("docker.io/library/base:1", target))
    writer.write()
    document = document_of(writer.root)
    shown = {row["LAYER"]: (row["SIZE"], row["ON DISK"]) for row in _table(layers(Index(document), "", orphaned=False))}
    assert shown[target.chains[0][7:19]] == (40_960, None)
    assert shown[container_id("web")[:12]] == (None, None)
    sizes = {row.name: row.allocated for row in document.directories}
    assert sum(size for size in sizes.values() if size is not None) == allocated(writer.root)
    assert None not in sizes.values()
    saved = next(one for one in backup(Index(document), Places(), {}, docker=True).parts if one.title == "Commands")
    assert isinstance(saved, Lines)
    assert "# what web wrote outside its mounts" in saved.lines


def test_an_image_that_is_unpacked_for_two_platforms_has_both_stacks(tmp_path: Path) -> None:
    writer = store_root(tmp_path / "docker")
    app = writer.target("registry.example/team/app:2")
    top = writer.moby.unpack(app.manifests[1])
    writer.write()
    document = document_of(writer.root)
    (image,) = (one for one in document.images if "registry.example/team/app:2" in one.references)
    index = Index(document)
    assert {layer.name for layer in index.chain(image)} == {*app.manifests[0].chains, top}
    (line,) = (line for line in _lines(tree(index, full=False)) if "team/app" in line)
    assert "Platforms: linux/amd64, linux/arm64" in line
    assert any(f"<none> (layer {top[7:19]})" in line for line in _lines(tree(index, full=False)))


def test_backup_saves_what_is_not_dockers_without_docker(document: Document) -> None:
    parts = backup(Index(document), Places(), {}, docker=True).parts
    (commands,) = (one.lines for one in parts if isinstance(one, Lines) and one.title == "Commands")
    ctr = "ctr --address /run/docker/containerd/containerd.sock --namespace k8s.io images export"
    assert any(f"{ctr} image-docker.io_library_base_1.tar docker.io/library/base:1" in line for line in commands)
    assert "docker export web | gzip > container-web.tar.gz" in commands
    assert not any("agent" in line for line in commands), "nothing was written there"
    stores = backup(Index(document), Places(), {}, docker=False).parts[-1]
    assert isinstance(stores, Lines)
    assert stores.lines[-1].endswith("./containerd")


def test_a_hostile_namespace_is_in_no_command(tmp_path: Path) -> None:
    writer = store_root(tmp_path / "docker")
    writer.store.namespace("$(reboot)\x1b[2J").image("docker.io/library/base:1", [BASE])
    writer.write()
    index = Index(document_of(writer.root))
    assert "$(reboot)\x1b[2J" in {row["NAMESPACE"] for row in _table(images(index, intermediate=False))}
    for docker in (True, False):
        parts = backup(index, Places(), {}, docker=docker).parts
        assert not any("reboot" in line for one in parts if isinstance(one, Lines) for line in one.lines)
