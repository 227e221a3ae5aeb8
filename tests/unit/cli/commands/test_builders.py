"""The state volume of a buildx builder: what frees it, wherever the volume is named."""

from pathlib import Path

import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.builders import builder_of
from exporter.cli.commands.df import df
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Answer, Lines, Table
from exporter.cli.commands.whose import whose
from tests.support.product import document_of
from tests.support.roots.layerdb import DbRoot

_FREES = "docker buildx prune --builder shop frees it"


@pytest.mark.parametrize(
    ("volume", "builder"),
    [
        ("buildx_buildkit_shop0_state", "shop"),
        ("buildx_buildkit_b10_state", "b1"),
        ("buildx_buildkit_my-builder.v2_x1_state", "my-builder.v2_x"),
        ("buildx_buildkit_shop_state", ""),
        ("buildx_buildkit_0_state", ""),
        ("buildx_buildkit_a b0_state", ""),
        ("buildx_buildkit_$(id)0_state", ""),
        ("xbuildx_buildkit_shop0_state", ""),
        ("buildx_buildkit_shop0_state2", ""),
        ("data", ""),
    ],
)
def test_a_builder_is_known_by_the_name_of_its_volume(volume: str, builder: str) -> None:
    assert builder_of(volume) == builder


def _lines(answer: Answer) -> str:
    return "\n".join(line for part in answer.parts if isinstance(part, Lines) for line in part.lines)


@pytest.mark.parametrize("used", [True, False])
def test_df_backup_and_whose_say_what_frees_it(tmp_path: Path, used: bool) -> None:
    name = "buildx_buildkit_shop0_state"
    built = DbRoot(tmp_path).layer("base", 10).image("app", "base", ["app:1"]).volume(name, 3000).volume("data", 5)
    if used:
        point = {"/state": {"Name": name, "Driver": "local", "Type": "volume", "RW": True}}
        built.container("buildx_buildkit_shop0", "app", "base", config={"MountPoints": point})
    index = Index(document_of(built.path))
    (line,) = [line for line in _lines(df(index.document)).split("\n") if name in line]
    assert line.startswith(f"Volume {name}, 3 kB: ")
    assert _FREES in line
    assert "docker buildx rm shop" in line
    tables = [part for part in backup(index, Places(), {}, docker=True).parts if isinstance(part, Table)]
    noted = [row for table in tables for row in table.rows if any(_FREES in str(cell) for cell in row)]
    assert len(noted) == 1
    (owner,) = whose(index, f"volumes/{name}/_data/f").data["owners"]
    assert _FREES in owner["text"]
    assert "buildx" not in whose(index, "volumes/data/_data/f").data["owners"][0]["text"]
