"""The manual page: all that --help says, in roff that man reads without a complaint."""

import re
import subprocess
import sys
from pathlib import Path

import click

from exporter.cli.main import main
from tests.support.paths import TOP
from tests.support.product import needs

_SCRIPT = TOP / "packaging" / "manual.py"


def page() -> str:
    command = [sys.executable, str(_SCRIPT), "2026-01-01"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_command_and_option_is_in_it() -> None:
    text = page().replace("\\-", "-")
    for name, command in main.commands.items():
        assert f".B {name}\n" in text
        for option in command.params:
            if isinstance(option, click.Option) and option.help and "--version" not in option.opts:
                assert all(flag in text for flag in option.opts), option.opts
                assert " ".join(option.help.split()) in " ".join(text.replace("\\e", "\\").split())
    assert "Sentinel" not in text
    assert "Default: :9588." in text
    variables = re.findall(r"Variable: (\S+)\.(?: |\n)", text)
    assert len(variables) > 10
    assert [one for one in variables if not re.fullmatch(r"DOCKER_STORAGE_EXPORTER_[A-Z_]+", one)] == []
    wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "ENVIRONMENT", "FILES", "EXIT STATUS"]
    assert [title for title in re.findall(r"(?m)^\.SH (.*)$", text) if title in wanted] == wanted


@needs("man")
def test_man_reads_it_without_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "page.1").write_text(page())
    command = ["man", "--warnings", "--encoding=UTF-8", "--local-file", str(tmp_path / "page.1")]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    assert "--web.config.file" in re.sub("\x1b\\[[0-9;]*m|.\b", "", done.stdout)
