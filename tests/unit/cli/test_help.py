"""What --help prints."""

import click
import pytest
from click.testing import CliRunner

from exporter.cli.main import main


def _help(command: str, columns: int) -> list[str]:
    arguments = [one for one in (command, "--help") if one]
    done = CliRunner().invoke(main, arguments, terminal_width=columns, max_content_width=columns)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.parametrize("command", ["", *main.commands])
def test_nothing_breaks_inside_a_word_at_80_columns(command: str) -> None:
    narrow = _help(command, 80)
    assert max(map(len, narrow)) <= 80
    assert not any("\\b" in line for line in narrow), "click's mark of a paragraph that is not wrapped"
    assert _words(narrow) == _words(_help(command, 300))
    assert command or "..." not in " ".join(narrow[1:]).partition("Commands:")[2], "no text is cut off"
    variables = [one.envvar for one in _options(command) if isinstance(one.envvar, str)]
    text = " ".join(narrow)
    assert [one for one in variables if one not in text] == []


def _words(lines: list[str]) -> list[str]:
    return sorted(word for line in lines for word in line.split())


def _options(command: str) -> list[click.Option]:
    params = (main.commands[command] if command else main).params
    return [one for one in params if isinstance(one, click.Option)]
