"""What the commands show of a containerd image store: namespaces, platforms, pods, and the parts of the store."""

from pathlib import Path

import pytest

from exporter.cli.commands.containers import containers
from exporter.cli.commands.images import images, tree
from exporter.cli.commands.index import Index
from exporter.cli.commands.layers import layers
from exporter.cli.commands.stranger import checked
from exporter.cli.commands.tables import Answer, Lines, Table
from exporter.expose.snapshot_api.rows import Document
from tests.support.product import document_of
from tests.support.roots.containerd import container_id, store_root


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return document_of(store_root(tmp_path / "docker").root)


def _table(answer: Answer) -> list[dict[str, object]]:
    table = next(one for one in answer.parts if isinstance(one, Table))
    return [dict(zip(table.headings, row, strict=True)) for row in table.rows]


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
