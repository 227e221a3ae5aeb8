"""The flags that say which roots are read, given twice: click alone takes the last value silently."""

import click
import pytest
from click.testing import CliRunner

from exporter.cli.config_file import _keys
from exporter.cli.main import main

assert isinstance(main, click.Group)
_COMMANDS = sorted(name for name, one in main.commands.items() if "root" in dict(_keys(one)))


def test_the_commands_that_read_a_root_are_known() -> None:
    listed = {"df", "images", "containers", "volumes", "build-cache", "layers"}
    assert {"run", "once", "whose", "backup", "free", "du", "diff", "snapshot"} | listed == {*_COMMANDS}


def test_all_of_them_know_how_it_is_read() -> None:
    for name in _COMMANDS:
        known = {flag for one in main.commands[name].params for flag in one.opts}
        assert {"--containerd.root", "--collector.volumes.network", "--layers.orphaned-after"} <= known, name


@pytest.mark.parametrize("flag", ["--root", "--containerd.root"])
@pytest.mark.parametrize("command", _COMMANDS)
def test_two_roots_are_an_error_with_advice(command: str, flag: str) -> None:
    arguments = ["/x"] if command in ("whose", "du") else []
    done = CliRunner().invoke(main, [command, *arguments, flag, "/a b", f"{flag}=/c"])
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert f"Error: {flag} is given 2 times: /a b, /c." in said
    assert ("run another one" in said) == (flag == "--root")
