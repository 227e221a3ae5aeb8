"""Every command on each example host, on a terminal of 80 columns, of UTF-8 and of ASCII."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.build_cache import build_cache
from exporter.cli.commands.containers import containers
from exporter.cli.commands.df import df
from exporter.cli.commands.diff import diff
from exporter.cli.commands.diff_ends import DiffEnd, of_document
from exporter.cli.commands.du import du
from exporter.cli.commands.du_places import known
from exporter.cli.commands.free import free
from exporter.cli.commands.image_tree import tree
from exporter.cli.commands.images import images
from exporter.cli.commands.index import Index
from exporter.cli.commands.layers import layers
from exporter.cli.commands.plain_text import ascii_of
from exporter.cli.commands.show import Style, show
from exporter.cli.commands.tables import Answer, Lines
from exporter.cli.commands.volumes import volumes
from exporter.cli.commands.whose import whose
from exporter.config.settings import Config
from exporter.demo import build_containerd_host, build_demo, build_host
from exporter.expose.snapshot_api.rows import Document, FilesystemRow
from tests.support.product import document_of

_WIDTH = 80
_HOSTS: dict[str, Callable[[Path], object]] = {
    "wiki": build_demo,
    "build": build_host,
    "containerd": build_containerd_host,
}
_DISK = FilesystemRow("/", "8:1", "/", "ext4", size=50 * 10**9, free=3 * 10**9, available=2 * 10**9)
_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")
#: What is said of columns that have no room, and of paths that begin alike.
_NOTICES = "Not in this width: --no-trunc shows all. below"
_CUT = ("…", "...", "█", "#")


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module", params=_HOSTS)
def document(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Document:
    root = tmp_path_factory.mktemp("a-name-of-some-length") / "docker"
    _HOSTS[request.param](root)
    return replace(document_of(root), filesystems=(_DISK,))


def _answers(document: Document) -> Iterator[tuple[str, Answer]]:
    index = Index(document)
    yield "df", df(document)
    yield "images", images(index, intermediate=True)
    yield "images --tree", tree(index, full=False)
    yield "containers", containers(index)
    yield "volumes", volumes(index)
    yield "build-cache", build_cache(index)
    yield "layers", layers(index, orphaned=False)
    yield "layers --orphaned", layers(index, orphaned=True)
    yield "free", free(document, 10**12, None)
    yield "diff", diff(DiffEnd(1.0), of_document(document))
    for docker in (True, False):
        yield f"backup {docker}", backup(index, Places("", ""), {}, docker=docker)
    for one in document.containers:
        yield f"layers {one.called}", layers(index, one.called, orphaned=False)
    for path in [one.home or one.directory for one in document.layers][:9]:
        yield f"whose {path}", whose(index, f"{document.root}/{path}")
    with known(Config(root=document.root)) as found:
        names = [f"image:{one.references[0]}" for one in document.images if one.references]
        for name in (".", *(f"container:{one.called}" for one in document.containers), *names):
            yield f"du {name}", du(found, name, "", depth=2, files=3)


def _drawn(answer: Answer, style: Style, encoding: str) -> str:
    raw = io.BytesIO()
    output = Terminal(raw, encoding=encoding)
    show(answer, style, output)
    output.flush()
    return _SEQUENCE.sub("", raw.getvalue().decode(encoding))


def _is_whole(word: str, words: set[str]) -> bool:
    """Whether it is a word of these, or whole names of a path that is one, or is said to be cut."""
    if word in words or word.rstrip(":,.") in words or any(part in word for part in _CUT):
        return True
    names = f"/{word.strip('/')}/"
    return any(names in f"/{one.strip('/')}/" for one in words)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_nothing_breaks_inside_a_word(monkeypatch: pytest.MonkeyPatch, document: Document, encoding: str) -> None:
    monkeypatch.setenv("COLUMNS", str(_WIDTH))
    for name, answer in _answers(document):
        said = [part for part in answer.parts if not (isinstance(part, Lines) and part.commands)]
        shown = replace(answer, parts=said)
        narrow, wide = (_drawn(shown, Style(full=full), encoding) for full in (False, True))
        lines = narrow.splitlines()
        too_long = [line for line in lines if cell_len(line) > _WIDTH]
        assert too_long == [], name
        words = {*_NOTICES.split(), *wide.split(), *_drawn(shown, Style(full=True, aligned=True), encoding).split()}
        shortened = [
            one for line in lines for one in line.split() if not _is_whole(one, words) and not _is_an_id(one, words)
        ]
        assert shortened == [], name
        assert encoding == "utf-8" or narrow.isascii()
        if encoding == "utf-8":
            assert narrow.isascii() or ascii_of(narrow) != narrow


_ID = re.compile("[0-9a-f]{12,}(-init)?")


def _is_an_id(word: str, words: set[str]) -> bool:
    """Whether it is the beginning of an id that is whole where there is room: that is how people know ids."""
    return bool(_ID.fullmatch(word)) and any(one.startswith(word.removesuffix("-init")) for one in words)
