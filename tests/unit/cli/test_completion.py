"""Completion: the scripts, and what the program answers them."""

import pytest
from click.testing import CliRunner

from exporter.cli.completion import VARIABLE
from exporter.cli.main import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_the_program(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in done.output
    assert "docker-storage-exporter" in done.output


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("docker-storage-exporter vol", {"volumes"}),
        ("docker-storage-exporter images --sort un", {"unique"}),
        ("docker-storage-exporter images --filter da", {"dangling="}),
        ("docker-storage-exporter volumes --ie", {"--iec"}),
        ("docker-storage-exporter completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_commands_flags_columns_and_keys_are_completed(words: str, offered: set[str]) -> None:
    environment = {VARIABLE: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = CliRunner(env=environment).invoke(main, complete_var=VARIABLE, prog_name="docker-storage-exporter")
    assert {line.partition(",")[2] for line in done.output.splitlines()} == offered
