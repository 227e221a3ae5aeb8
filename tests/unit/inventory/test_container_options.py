"""What a container was made with: its service, and the size that its writable layer may have."""

from pathlib import Path

import pytest

from exporter.cli.commands.containers import containers
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Table
from tests.support.product import document_of, figures_of
from tests.support.recorded import unpack_case
from tests.support.roots.layerdb import DbRoot
from tests.support.usage import allocated


def test_the_stack_and_the_service_of_a_swarm_are_labels(tmp_path: Path) -> None:
    labels = {"com.docker.stack.namespace": "shop", "com.docker.swarm.service.name": "shop_web"}
    built = DbRoot(tmp_path).layer("base", 10).image("app:1", "base", ["app:1"])
    for number in (1, 2):
        about = {"Config": {"Image": "app:1", "Labels": labels}}
        built.container(f"shop_web.1.{number}", "app:1", "base", config=about, host={"StorageOpt": {"size": "10M"}})
    built.container("alone", "app:1", "base")
    figures = figures_of(built.path)
    assert len(figures.all("container_info", stack="shop", swarm_service="shop_web")) == 2
    assert figures("container_info", name="alone", stack="", swarm_service="") == 1
    rows = {one.name: (one.stack, one.swarm_service) for one in document_of(built.path).containers}
    assert rows["shop_web.1.2"] == ("shop", "shop_web")


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"size": "10M"}, 10 * 1024**2),
        ({"Size": "1.5g"}, 1536 * 1024**2),
        ({"size": "20 GiB"}, 20 * 1024**3),
        ({"size": "4096"}, 4096),
        ({"size": "0"}, None),
        ({"size": "much"}, None),
        ({"size": 7}, None),
        ({}, None),
        (None, None),
        ({"other": "1G"}, None),
    ],
)
def test_the_size_that_a_container_was_made_with_is_a_limit(tmp_path: Path, options: object, limit: int | None) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("app:1", "base", ["app:1"])
    built.container("web", "app:1", "base", host={"StorageOpt": options})
    assert [value for _, value in figures_of(built.path).all("container_writable_limit_bytes")] == [limit] * bool(limit)
    assert [one.writable_limit for one in document_of(built.path).containers] == [limit]


def test_the_terminal_shows_how_much_of_its_limit_a_layer_takes(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 10).image("app:1", "base", ["app:1"]).container("free", "app:1", "base")

    def limits() -> list[tuple[object, ...]]:
        parts = containers(Index(document_of(built.path))).parts
        return [row for part in parts if isinstance(part, Table) and "limit" in part.title for row in part.rows]

    assert limits() == []
    built.container("web", "app:1", "base", host={"StorageOpt": {"size": "1M"}}, writable={"w": 500_000})
    blocks = allocated(built.writable("web"))
    assert limits() == [("web", blocks, 1024**2, f"{blocks / 1024**2:.0%}")]


def test_the_case_of_a_swarm_node_is_added_up_by_service(tmp_path: Path) -> None:
    figures = figures_of(unpack_case(22, tmp_path))
    assert len(figures.all("container_info", stack="shop", swarm_service="shop_web")) == 6
    assert {limit for _, limit in figures.all("container_writable_limit_bytes")} == {10 * 1024**2}
