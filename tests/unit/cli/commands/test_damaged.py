"""The terminal's commands on damaged roots: each answers, and shows what is sound."""

import io
import json
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
from exporter.cli.commands.show import show
from exporter.cli.commands.tables import Answer
from exporter.cli.commands.whose import whose
from tests.support.broken import broken_root
from tests.support.product import document_of
from tests.support.roots import hex_id


def shown(answer: Answer) -> str:
    json.dumps(answer.data)
    output = io.StringIO()
    show(answer, output=output)
    text = output.getvalue()
    assert all(character.isprintable() or character in "\t\n" for character in text)
    return text


@pytest.mark.parametrize("seed", range(28))
def test_each_command_answers_and_shows_what_is_sound(seed: int, tmp_path: Path) -> None:
    index = Index(document_of(broken_root(tmp_path, seed).path, orphaned_after=0))
    shown(df(index.document))
    assert "sound" in shown(images(index, intermediate=True))
    assert "sound:1" in shown(tree(index, full=False))
    assert "healthy" in shown(containers(index))
    assert "healthy" in shown(layers(index, "", orphaned=False))
    shown(layers(index, "", orphaned=True))
    assert "sound:1" in shown(layers(index, hex_id("sound"), orphaned=False))
    ids = [one.id for one in index.document.layers] + [one.id for one in index.document.containers]
    for one in {*ids, *(image.id for image in index.document.images)}:
        assert shown(layers(index, one, orphaned=False))
        assert shown(whose(index, f"containers/{one}"))
    for docker in (True, False):
        text = shown(backup(index, Places(), {}, docker=docker))
        assert "healthy" in text
        assert hex_id("data") in text
