"""A document of a stranger (`--from`): whatever its values are, it is refused in one line, or each command shows it."""

import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.build_cache import BUILD_CACHE, build_cache
from exporter.cli.commands.containers import containers
from exporter.cli.commands.df import df
from exporter.cli.commands.free import free
from exporter.cli.commands.habits import Habits
from exporter.cli.commands.image_tree import tree
from exporter.cli.commands.images import IMAGES, images
from exporter.cli.commands.index import Index
from exporter.cli.commands.layers import LAYERS, layers
from exporter.cli.commands.output import Form, Output, print_answer
from exporter.cli.commands.show import show
from exporter.cli.commands.source import parse
from exporter.cli.commands.tables import Answer
from exporter.cli.commands.template import parse as parse_template
from exporter.cli.commands.volumes import VOLUMES, volumes
from exporter.cli.commands.whose import whose
from exporter.core.units import Units, written_in
from exporter.expose.snapshot_api.encode import describe
from exporter.expose.snapshot_api.pieces import ending
from exporter.expose.snapshot_api.rows import Document, FilesystemRow
from exporter.figures.figures import Figures
from tests.support.product import scan
from tests.unit.test_knowledge import ROOTS


def _free(document: Document) -> Answer:
    """All steps on the filesystem of the root; a document without that is refused in one line."""
    refused = ""
    try:
        return free(document, 2**62, None)
    except click.ClickException as error:
        refused = error.message
    assert len(refused.splitlines()) == 1
    return Answer({}, [])


_DISK = FilesystemRow("/", "8:1", "/", "ext4", size=1000, free=300, available=200)
_COMMANDS: dict[str, Callable[[Document], Answer]] = {
    "df": df,
    "images": lambda document: images(Index(document), intermediate=True),
    "images --tree": lambda document: tree(Index(document), full=False),
    "containers": lambda document: containers(Index(document)),
    "layers": lambda document: layers(Index(document), "", orphaned=False),
    "layers --orphaned": lambda document: layers(Index(document), "", orphaned=True),
    "volumes": lambda document: volumes(Index(document)),
    "build-cache": lambda document: build_cache(Index(document)),
    "whose": lambda document: whose(Index(document), "overlay2/x"),
    "free": _free,
    "backup": lambda document: backup(Index(document), Places("", ""), {}, docker=True),
}
_NUMBERS = (
    "9" * 400,
    "1" * 5000,
    "1e999",
    "-1e999",
    str(2**63),
    str(2**64),
    str(-(2**63)),
    "-1",
    "0",
    "1e300",
    "-1e300",
    "1.5",
)
_TEXTS = (
    "",
    "\u202e",
    "a" * 9000,
    "..",
    "-rf",
    "$(reboot)",
    "\n",
    "\x1b[2J",
    "sha256:" + "f" * 64,
    "\ud800",
    "\\ud800",
)
_OTHERS = ("null", "true", "[]", "{}", "[null]", '["a", "a"]', "[[]]")


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place of a value in a JSON value: the object or array that it is in, and the key."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else []
        for key in keys:
            yield one, key
            waiting.append(one[key])


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The documents of sound roots."""
    roots: list[Path] = [make(tmp_path_factory.mktemp(name.replace(" ", "-"))) for name, make in ROOTS.items()]
    return [describe(Figures(scan(one, orphaned_after=0))).finish(ending(1.0, [_DISK])) for one in roots]


def _parsed(raw: bytes) -> Document | None:
    refused = ""
    try:
        return parse(raw)
    except click.ClickException as error:
        refused = error.message
    assert len(refused.splitlines()) == 1
    return None


def _sorted_by_all_columns(document: Document) -> Iterator[Answer]:
    index = Index(document)
    of_images, of_volumes, of_records, of_layers = (
        Habits(sort=tuple(column.name for column in one.columns)) for one in (IMAGES, VOLUMES, BUILD_CACHE, LAYERS)
    )
    yield images(index, intermediate=True, habits=of_images)
    yield volumes(index, of_volumes)
    yield build_cache(index, of_records)
    yield layers(index, orphaned=False, habits=of_layers)


@pytest.mark.parametrize("seed", range(6))
def test_a_strange_document_is_refused_or_shown(documents: list[bytes], seed: int) -> None:
    dice = random.Random(seed)
    shown = 0
    for _ in range(60):
        content = json.loads(dice.choice(documents))
        places = list(_leaves(content))
        values: dict[str, str] = {}
        for owner, key in dice.sample(places, dice.choice((1, 1, 3, 30))):
            value = dice.choice((dice.choice(_NUMBERS), json.dumps(dice.choice(_TEXTS)), dice.choice(_OTHERS)))
            same = isinstance(owner[key], str) and dice.random() < 0.7
            owner[key] = f"mark{dice.random()}"
            values[json.dumps(owner[key])] = json.dumps(dice.choice(_TEXTS)) if same else value
        text = json.dumps(content)
        for mark, value in values.items():
            text = text.replace(mark, value)
        document = _parsed(text.encode())
        if document is None:
            continue
        shown += 1
        for answer in _COMMANDS.values():
            for units in (Units.SI, Units.BYTES):
                with written_in(units):
                    show(answer(document), output=io.StringIO())
        if shown % 10 == 1:
            for listed in _sorted_by_all_columns(document):
                for output in (Output(Form.CSV), Output(Form.TEMPLATE, parse_template("{{json .}} {{.Size}}"))):
                    print_answer(document, listed, "", output, io.StringIO())
    assert shown
