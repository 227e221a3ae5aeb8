"""Whatever value stands in a field that is read: nothing fails, and no other object is hidden by it."""

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exporter.cli.commands.source import parse
from exporter.core.measured import Reason
from exporter.expose.snapshot_api.pieces import ending
from exporter.expose.snapshot_api.rows import Document
from exporter.scan.scanner import Scanner
from exporter.web.pages.frame import PageFrame
from exporter.web.pages.overview import overview
from exporter.web.pages.status import status
from tests.support.damage import inputs
from tests.support.local_pool import LocalPool
from tests.support.served import served
from tests.unit.test_knowledge import ROOTS

_DIGITS = ("9" * 400, "9" * 305, "-" + "9" * 30, str(2**63), str(-(2**63) - 1), "1" * 5000, "0", "-1", "7" * 19)
_WORDS = (
    *("null", "true", "false", "1e999", "-1e999", "1.5", "1e3", "[]", "{}", "NaN", "[" * 60 + "]" * 60),
    *('{"a":' * 900 + "1" + "}" * 900, '[null,1,"x",{},"9999999999999999999g"]', '{"":{"":[""]}}'),
)
_TEXTS = (
    *_DIGITS,
    *(
        "",
        "1e999",
        "NaN",
        "0x10",
        "١٢",
        "\0",
        "..",
        "/",
        "-rf",
        "a" * 9000,
        "\u202e",
        "\ud800",
        "999999999999999999999g",
    ),
    *(
        "9999-12-31T23:59:59.9999999999Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "0000-00-00T00:00:00Z",
    ),
    *("sha256:" + "f" * 64, "f" * 64, "/a:/b:ro", "a:b:c:d:e"),
)
_CASES_IN_ONE = 20

_Field = tuple[str | int, ...]


def _value(dice: random.Random) -> str:
    """A JSON text. What no Python value says (1e999, a number of 5000 digits) is one, too."""
    return dice.choice((dice.choice(_DIGITS), dice.choice(_WORDS), json.dumps(dice.choice(_TEXTS))))


def _fields(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values in a JSON value."""
    if at:
        yield at
    within = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in within:
        yield from _fields(one, (*at, key))


def _with(content: Any, field: tuple[str | int, ...], text: str) -> str:
    """The JSON text of a value in which one field has another text."""
    mark = "a-value-that-stands-nowhere-else"
    inner = content
    for key in field[:-1]:
        inner = inner[key]
    inner[field[-1]] = mark
    return json.dumps(content).replace(json.dumps(mark), text)


def _rewrite(root: Path, path: Path, text: str) -> str:
    """Write a file anew; a description of an image gets the name that its content asks for. Return the old name."""
    raw = text.encode("utf-8", "surrogateescape")
    (root / path).write_bytes(raw)
    old = path.name
    if "imagedb/content" not in str(path):
        return ""
    new = hashlib.sha256(raw).hexdigest()
    (root / path).rename(root / path.with_name(new))
    about = root / str(path.parent).replace("content", "metadata") / old
    if about.exists():
        about.rename(about.with_name(new))
    for one in (*root.glob("image/*/repositories.json"), *root.glob("containers/*/config.v2.json")):
        one.write_bytes(one.read_bytes().replace(old.encode(), new.encode()))
    return old


def _served(root: Path) -> tuple[Document, list[str]]:
    """Scan a root and render all that is served; return the document, and which errors are the exporter's own."""
    with LocalPool() as pool:
        scanner = Scanner(str(root), 0, pool)
        snapshot = scanner.scan()
        found = served(snapshot, scanner.counters)
    assert status(PageFrame(), found.summary, [])
    assert overview(PageFrame(), found.summary, [])
    document = parse(found.document.finish(ending(1.0, [])))
    wrong = [str(one) for one in document.problems if one.reason == Reason.INTERNAL]
    wrong += [str(key) for key in scanner.counters.errors if key[1] is Reason.INTERNAL]
    return document, wrong


def _names(document: Document) -> set[str]:
    return {
        *(one.id for one in document.images),
        *(one.id for one in document.containers),
        *(one.name for one in document.volumes),
        *(one.id for one in document.layers),
        *(one.name for one in document.directories),
    }


def _fields_of(path: Path) -> list[_Field]:
    try:
        return list(_fields(json.loads(path.read_bytes())))
    except ValueError:
        return [()]


class _Made(NamedTuple):
    """A root, the names of its objects, and all fields of its files; () for a file that is not JSON."""

    path: Path
    names: set[str]
    fields: list[tuple[Path, _Field]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[_Made]:
    """Each root that the tests of knowledge know."""
    found = []
    for name, make in ROOTS.items():
        root = make(tmp_path_factory.mktemp(name.replace(" ", "-")))
        document, wrong = _served(root)
        assert wrong == []
        files = [path for path in inputs(root) if (root / path).is_file()]
        found.append(_Made(root, _names(document), [(path, one) for path in files for one in _fields_of(root / path)]))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_value_of_any_type_and_magnitude_fails_nothing_and_hides_no_other_object(
    made: list[_Made], tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    for number in range(_CASES_IN_ONE):
        sound = dice.choice(made)
        path, field = dice.choice(sound.fields)
        value = _value(dice)
        root = tmp_path / str(number)
        shutil.copytree(sound.path, root, symlinks=True)
        text = _with(json.loads((root / path).read_bytes()), field, value) if field else value.strip('"')
        old = _rewrite(root, path, text)
        found, wrong = _served(root)
        shutil.rmtree(root)
        case = f"{path} {field}: {value[:60]}"
        assert wrong == [], case
        assert {one for one in sound.names - _names(found) if one != old and one not in path.parts} == set(), case
