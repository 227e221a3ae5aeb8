"""Print the manual page in roff, made from the texts of --help. Usage: python packaging/manual.py [DATE]."""
# ruff: noqa: INP001 - a script

import re
import sys
from collections.abc import Iterator

import click

from exporter.cli.main import main
from exporter.core.version import VERSION

_NAME = "docker-storage-exporter"
_NOT_STANDING_ALONE = re.compile(r"(?m)^(?=[.'])")

_ENVIRONMENT = """Each option above names its environment variable. An option overrides the variable, the variable
overrides the settings file (--config.file), and that overrides the default. NO_COLOR switches the colours of tables
off."""
_FILES = (
    ("/etc/docker-storage-exporter/config.yml", "Settings of the service: a YAML file with options without dashes."),
    ("/etc/default/docker-storage-exporter", "Environment variables of the service; they override that file."),
    ("/var/lib/docker-storage-exporter", "Sizes of image layers, kept across restarts."),
    ("/var/lib/docker", "The default data root. The exporter never writes below it."),
    ("/usr/share/doc/docker-storage-exporter", "Changelog and licence."),
)
_STATUS = (
    ("0", "Success, or the service was stopped by SIGTERM or SIGINT."),
    ("1", "Something could not be read, found or served; standard error says what. Everything else is printed."),
    ("2", "The command line or a settings file is wrong."),
    ("130", "Interrupted from the keyboard, for commands that print and end."),
)
_SIGNALS = (
    ("SIGHUP", "Read the web configuration again and scan everything again."),
    ("SIGTERM, SIGINT", "Stop."),
)


def manual(date: str) -> Iterator[str]:
    """The lines of the page."""
    context = click.Context(main, info_name=_NAME)
    commands = {name: main.commands[name] for name in sorted(main.commands)}
    summary = (main.help or "").splitlines()[0].rstrip(".")
    yield f'.TH {_NAME.upper()} 1 "{date}" "{VERSION}" "User Commands"'
    yield from (".SH NAME", f"{_text(_NAME)} \\- {_text(summary[0].lower() + summary[1:])}")
    yield ".SH SYNOPSIS"
    for name, command in commands.items():
        usage = " ".join(command.collect_usage_pieces(click.Context(command, parent=context)))
        yield from (f".B {_text(_NAME)} {_text(name)}", f".RI {_quoted(usage)}", ".br")
    yield f".B {_text(_NAME)} \\-\\-version"
    yield ".SH DESCRIPTION"
    yield from _paragraphs("\n\n".join((main.help or "").split("\n\n")[1:]))
    yield ".SH COMMANDS"
    for name, command in commands.items():
        yield from (".TP", f".B {_text(name)}")
        yield from _paragraphs(command.help or "", ".sp")
    yield ".SH OPTIONS"
    yield from _options(commands)
    yield from (".SH ENVIRONMENT", _text(_ENVIRONMENT))
    for title, rows in (("FILES", _FILES), ("SIGNALS", _SIGNALS), ("EXIT STATUS", _STATUS)):
        yield f".SH {title}"
        for term, meaning in rows:
            yield from (".TP", f".B {_text(term)}", _text(meaning))
    yield from (".SH SEE ALSO", ".BR prometheus (1),", ".BR systemd.exec (5),", ".BR du (1)")


def _options(commands: dict[str, click.Command]) -> Iterator[str]:
    """Every option once, with the commands that take it where these are not all."""
    takers: dict[tuple[str, str], list[str]] = {}
    options: dict[tuple[str, str], click.Option] = {}
    for name, command in commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.help and "--version" not in option.opts:
                key = ", ".join((*option.opts, *option.secondary_opts)), option.help
                takers.setdefault(key, []).append(name)
                options[key] = option
    for (flags, said), option in sorted(options.items(), key=lambda one: one[0][0].lstrip("-")):
        value = "" if option.is_flag else f" {option.make_metavar(click.Context(main))}"
        yield from (".TP", f".BI {_quoted(flags)} {_quoted(value)}")
        yield _text(said)
        facts = [f"For {_and(takers[flags, said])}."]
        if isinstance(option.envvar, str):
            facts.append(f"Variable: {option.envvar}.")
        if isinstance(option.show_default, str):
            facts.append(f"Default: {option.show_default}.")
        default = option.get_default(click.Context(main))
        given = isinstance(default, str | int | float | tuple | list) and default not in ("", ())
        if option.show_default is True and not option.is_flag and given:
            shown = ", ".join(map(str, default)) if isinstance(default, tuple | list) else str(default)
            facts.append(f"Default: {shown}.")
        yield _text(" ".join(facts))


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _paragraphs(text: str, between: str = ".PP") -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield between
        yield _text(" ".join(paragraph.replace("\b", "").split()))


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return _NOT_STANDING_ALONE.sub(r"\\&", escaped)


def _quoted(text: str) -> str:
    return '"' + _text(text).replace('"', '""') + '"'


if __name__ == "__main__":
    click.echo("\n".join(manual(sys.argv[1] if len(sys.argv) > 1 else "")))
