"""`completion`: what a shell needs to complete the commands, flags, columns and keys of this program."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

PROGRAM = "docker-storage-exporter"
#: Where the scripts tell the program what to complete.
VARIABLE = "_DOCKER_STORAGE_EXPORTER_COMPLETE"
_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_SHELLS)))
def completion(shell: str) -> None:
    """Print a script that completes commands and flags in SHELL. It goes where the shell looks for it.

    \b
    bash  /etc/bash_completion.d/docker-storage-exporter
    zsh   _docker-storage-exporter, in a directory of $fpath
    fish  ~/.config/fish/completions/docker-storage-exporter.fish
    """  # noqa: D301 - click's mark of lines that stay as they are is a backspace
    click.echo(script(shell))


def script(shell: str) -> str:
    """The script for a shell. For bash it needs bash 4.4."""
    made = _SHELLS[shell](click.Command(PROGRAM), {}, PROGRAM, VARIABLE)
    return (made.source_template % made.source_vars()).strip()  # source() would start bash to ask for its version
