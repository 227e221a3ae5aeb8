"""How tables and lines are printed: on terminals of each width, in pipes, and where the output is not UTF-8."""

import io
import os
import re
import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from exporter.cli.commands.fit import continued
from exporter.cli.commands.plain_text import make_safe
from exporter.cli.commands.show import PLAIN, Style, show
from exporter.cli.commands.tables import Answer, AtLeast, Lines, Table
from exporter.core.shell import arguments
from exporter.core.text import escape, unescape
from exporter.core.units import Units, written_in

_NAMES = st.binary(min_size=1, max_size=40).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(answer: Answer, output: io.StringIO, *, units: Units = Units.SI, style: Style = PLAIN) -> str:
    with written_in(units):
        show(answer, style, output)
    return output.getvalue()


def drawn(monkeypatch: pytest.MonkeyPatch, answer: Answer, columns: int, style: Style = PLAIN) -> list[str]:
    """The lines on a terminal of this width, without colours and what is blank at their ends."""
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = _SEQUENCE.sub("", printed(answer, Terminal(), style=style)).splitlines()
    return [line.rstrip() for line in lines]


_TABLE = Table("Title", ("NAME", ">SIZE", ">#COUNT"), [("a", 1500, 1500), ("名前", None, 2)], footer=("total", 1500, 3))


def test_a_pipe_has_a_tab_between_cells_and_nothing_else() -> None:
    assert printed(Answer({}, [_TABLE]), io.StringIO()) == (
        "Title\nNAME\tSIZE\tCOUNT\na\t1.5 kB\t1500\n名前\t?\t2\ntotal\t1.5 kB\t3\n"
    )


def test_columns_are_aligned_by_what_a_terminal_shows() -> None:
    aligned = Style(aligned=True)
    assert printed(Answer({}, [_TABLE]), io.StringIO(), style=aligned) == (
        "Title\n"
        "NAME     SIZE  COUNT\n"
        "a      1.5 kB   1500\n"
        "名前        ?      2\n"
        "total  1.5 kB      3\n"
    )  # fmt: skip
    assert "1500   1500" in printed(Answer({}, [_TABLE]), io.StringIO(), units=Units.BYTES, style=aligned)
    assert "1.465 KiB" in printed(Answer({}, [_TABLE]), io.StringIO(), units=Units.IEC)


@given(st.text(max_size=30) | _NAMES)
def test_no_name_commands_the_terminal_or_makes_a_cell(name: str) -> None:
    answer = Answer({}, [Table(name, ("A", "B"), [(escape(name), name)]), Lines(name, [name])])
    plain = printed(answer, io.StringIO())
    assert all(character.isprintable() or character in "\t\n" for character in plain)
    assert plain.count("\t") == 2
    on_terminal = printed(Answer({}, [Table("", ("A",), [(name,)])]), Terminal())
    reference = printed(Answer({}, [Table("", ("A",), [("x",)])]), Terminal())
    assert set(_SEQUENCE.findall(on_terminal)) <= set(_SEQUENCE.findall(reference))
    assert "\x1b" not in _SEQUENCE.sub("", on_terminal)


_LONG = f"/var/lib/docker/overlay2/{'f' * 40}/diff/data"
_WIDE = Table(
    "",
    ("REPOSITORY", "IMAGE ID", ">SIZE", "DIRECTORY", "HOW"),
    [
        (
            "registry.example/team/app",
            "0" * 12,
            5_000_000,
            _LONG,
            "docker image prune",
        ),
        ("short", "1" * 12, None, "/var/lib/docker/overlay2/l", "nothing"),
    ],
    footer=("total", "", AtLeast(5_000_000), "", ""),
    bars=2,
)


@pytest.mark.parametrize("columns", range(32, 200, 8))
def test_nothing_breaks_inside_a_word_or_a_number_at_any_width(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    prose = Lines("A title of some words", ["The build history has 7 entries, and no prune frees them: see the docs"])
    lines = drawn(monkeypatch, Answer({}, [_WIDE, prose]), columns)
    assert all(cell_len(line) <= columns for line in lines)
    words = {word for line in (prose.title, *prose.lines) for word in line.split()}
    assert words <= {word for line in lines for word in line.split()}
    numbers = {"5 MB", "≥ 5 MB"}
    assert all(any(number in line for line in lines) for number in numbers)


def test_ids_go_before_paths_and_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer({}, [_WIDE])
    whole = drawn(monkeypatch, answer, 200)
    assert "000000000000" in whole[2]
    assert "█" in whole[2]
    assert whole[0] == "DIRECTORY: below /var/lib/docker/overlay2"
    narrow = drawn(monkeypatch, answer, 80)
    assert not any("000000000000" in line or "█" in line for line in narrow)
    assert "…/diff/data" in narrow[2]
    assert narrow[-1] == "Not in this width: IMAGE ID. --no-trunc shows all."
    assert "docker image prune" in narrow[2]
    assert "DIRECTORY" not in " ".join(drawn(monkeypatch, answer, 44)[:-2]), "nor what all begin with"
    full = drawn(monkeypatch, answer, 30, Style(full=True))
    assert full[1].split()[:4] == ["registry.example/team/app", "0" * 12, "5", "MB"]
    assert _LONG in full[1]


def test_bars_begin_at_one_column_whatever_the_names_are(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table("", ("NAME", ">SIZE"), [("名前", 9), ("plain", 3), ("none", None)], footer=("total", 12), bars=1)
    lines = drawn(monkeypatch, Answer({}, [table]), 80)
    assert {cell_len(line.partition("█")[0]) for line in lines if "█" in line} == {len("plain") + 2 + len("12 B") + 2}
    assert [line.count("█") for line in lines] == [0, 20, 7, 0, 0]


def test_names_are_cut_where_they_say_least(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("registry.example/monitoring/agent", 1), ("a-name-without-any-slash", 2)]
    lines = drawn(monkeypatch, Answer({}, [Table("", ("NAME", ">SIZE"), rows)]), 23)
    assert [line.split()[0] for line in lines[1:]] == ["…/agent", "a-name-without-a…"]


def test_a_command_goes_on_as_bash_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "docker rm 'a name' " + " ".join(f"container{number}" for number in range(9))
    lines = drawn(
        monkeypatch, Answer({}, [Lines("Commands", ["# a comment of many words", command], commands=True)]), 40
    )
    at = lines.index(next(line for line in lines if line.startswith("docker")))
    assert all(line.startswith("# ") for line in lines[1:at])
    assert all(line.endswith(" \\") for line in lines[at:-1])
    assert " ".join(line.removesuffix("\\").strip() for line in lines[at:]) == command
    assert printed(Answer({}, [Lines("", [command], commands=True)]), io.StringIO()) == command + "\n"


def test_a_number_stays_with_its_unit_and_a_branch_of_a_tree_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Lines("", ["it has 12.5 MB, and ≥ 3 kB more", "├─id Tags: a:1, b:2", "│ └─id2 Tags: aa:1"])
    assert drawn(monkeypatch, Answer({}, [part]), 14) == [
        *("it has", "12.5 MB, and", "≥ 3 kB more"),
        *("├─id Tags:", "│ a:1, b:2", "│ └─id2 Tags:", "│   aa:1"),
    ]
    tree = Lines("", ["└─a", "  ├─b", "  │   └─c", f"{'  ' * 9}└─deep of a chain"])
    assert drawn(monkeypatch, Answer({}, [tree]), 20) == [
        *tree.lines[:3],
        f"…{' ' * 7}└─deep of a",
        f"{' ' * 10}chain",
    ]
    table = Table("", (">FREES", "WHAT IS LOST"), [(5, "what it wrote is lost: 4.096 kB")])
    lines = drawn(monkeypatch, Answer({}, [table]), 32)
    assert any("4.096 kB" in line for line in lines)


def test_what_looks_like_markup_is_text() -> None:
    assert "[red]x[/red] :smile:" in printed(Answer({}, [Table("", ("A",), [("[red]x[/red] :smile:",)])]), Terminal())


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "iso8859-15"])
def test_an_output_without_utf8_gets_ascii(encoding: str) -> None:
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, encoding=encoding)
    make_safe(output)
    table = Table("Größe", ("NAME", ">SIZE"), [("名前", AtLeast(5)), ("é", None)])
    tree = Lines("", ["├─a", "│ └─b…"])
    show(Answer({}, [table, tree]), output=output)
    print("→ ≥ é", file=output)
    output.flush()
    assert raw.getvalue() == (
        b"Gr\\xf6\\xdfe\nNAME\tSIZE\n\\u540d\\u524d\t>= 5 B\n\\xe9\t?\n\n|-a\n| `-b...\n\\u2192 >= \\xe9\n"
    )


@given(_NAMES)
def test_names_come_back_from_their_escapes(name: str) -> None:
    assert unescape(escape(name)) == name


@given(st.lists(st.text("ab '\\\"$`;\n-é", max_size=12), min_size=1, max_size=5), st.integers(5, 60))
@example(["a\\", "; reboot;\\"], 20)
@example(["a; reboot #\\"], 60)
def test_a_command_that_goes_on_in_the_next_line_is_the_same_for_bash(names: list[str], width: int) -> None:
    """A line ends between two words only, whatever is in the names."""
    command = f"docker rmi {arguments(*names)}"
    lines = [*continued(command, width)]
    assert "\n".join(lines).replace(" \\\n  ", " ") == command
    assert [word for line in lines for word in shlex.split(line.removesuffix(" \\"))] == shlex.split(command)
