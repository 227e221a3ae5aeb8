import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cli.commands.tables import Answer, Lines, Table, show
from exporter.core.text import escape, unescape

_NAMES = st.binary(min_size=1, max_size=40).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(answer: Answer, output: io.StringIO, *, exact: bool = False) -> str:
    show(answer, exact=exact, output=output)
    return output.getvalue()


_TABLE = Table("Title", ("NAME", ">SIZE", ">#COUNT"), [("a", 1500, 1500), ("名前", None, 2)], footer=("total", 1500, 3))


def test_columns_are_aligned_by_what_a_terminal_shows() -> None:
    assert printed(Answer({}, [_TABLE]), io.StringIO()) == (
        "Title\n"
        "NAME     SIZE  COUNT\n"
        "a      1.5 kB   1500\n"
        "名前        ?      2\n"
        "total  1.5 kB      3\n"
    )  # fmt: skip
    assert "1500   1500" in printed(Answer({}, [_TABLE]), io.StringIO(), exact=True)


@given(st.text(max_size=30) | _NAMES)
def test_no_name_commands_the_terminal(name: str) -> None:
    answer = Answer({}, [Table(name, ("A", "B"), [(escape(name), name)]), Lines(name, [name])])
    plain = printed(answer, io.StringIO())
    assert all(character.isprintable() or character == "\n" for character in plain)
    drawn = printed(Answer({}, [Table("", ("A",), [(name,)])]), Terminal())
    reference = printed(Answer({}, [Table("", ("A",), [("x",)])]), Terminal())
    assert set(_sequences(drawn)) <= set(_sequences(reference))


def _sequences(text: str) -> list[str]:
    return ["\x1b" + part[: part.find("m") + 1] for part in text.split("\x1b")[1:]]


def test_a_narrow_terminal_gets_whole_ids_and_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("0" * 64, "/var/lib/docker/overlay2/" + "f" * 64, 5), ("short", "/", None)]
    table = Table("", ("ID", "DIRECTORY", ">SIZE"), rows, bars=2)
    drawn = {}
    for columns in (30, 300):
        monkeypatch.setenv("COLUMNS", str(columns))
        drawn[columns] = printed(Answer({}, [table]), Terminal())
        assert all(cell in drawn[columns] for row in rows for cell in row[:2] if isinstance(cell, str))
    assert ("█" in drawn[30], "█" in drawn[300]) == (False, True)
    assert len(drawn[30].splitlines()) == 3


def test_what_looks_like_markup_is_text() -> None:
    assert "[red]x[/red] :smile:" in printed(Answer({}, [Table("", ("A",), [("[red]x[/red] :smile:",)])]), Terminal())


@given(_NAMES)
def test_names_come_back_from_their_escapes(name: str) -> None:
    assert unescape(escape(name)) == name
