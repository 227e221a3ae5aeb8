"""The settings file: YAML with values for flags. The command line and the environment take precedence.

Its keys are the names of the flags without the leading dashes (`scan.interval: 30`). All commands can use one file: a
command ignores the keys of other commands' flags.
"""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from exporter.config.settings import SettingsError

if TYPE_CHECKING:
    from exporter.config.yaml_reader import YamlEntry  # see _apply

_FLAG = "--config.file"


def config_file_option(variable: str) -> Callable[[Any], Any]:
    """The option --config.file. It is eager: the file is read before the other options get their values."""
    return click.option(
        _FLAG,
        "config_file",
        envvar=variable,
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        metavar="FILE",
        callback=_apply,
        help="Take from this YAML file what neither a flag nor the environment says (key: flag without dashes).",
    )


class _WrongSettingsError(click.ClickException):
    """A settings file is as good as flags, and so are its mistakes."""

    exit_code = 2


def _apply(context: click.Context, _parameter: click.Parameter, file: str | None) -> None:
    if not file:
        return
    from exporter.config.yaml_reader import read  # noqa: PLC0415 - PyYAML is needed only with such a file

    group = context.find_root().command
    assert isinstance(group, click.Group), "the commands belong to a group"
    own = dict(_keys(context.command))
    try:
        values = flag_values(read(file), {**flags(group), **own})
    except SettingsError as error:
        raise _WrongSettingsError(str(error)) from None
    context.default_map = {str(option.name): values[key] for key, option in own.items() if key in values}


def flags(group: click.Group) -> dict[str, click.Option]:
    """The keys that a settings file may have, with their options: those of the flags of all commands."""
    return {key: option for command in group.commands.values() for key, option in _keys(command)}


def flag_values(top: "YamlEntry", known: dict[str, click.Option]) -> dict[str, Any]:
    """The values of a settings file by key. Raises SettingsError for an unknown key or an invalid value."""
    values: dict[str, Any] = {}
    for key, entry in top.mapping():
        if key not in known:
            raise entry.error(f"unknown key {key!r}; {_meant(key, known)}")
        if entry.empty:
            continue
        try:
            values[key] = _value(known[key], entry)
        except click.BadParameter as error:
            raise entry.error(f"{key}: {error.message}") from None
    return values


def _meant(key: str, known: Iterable[str]) -> str:
    if similar := get_close_matches(key, known, n=1):
        return f"did you mean {similar[0]}?"
    return f"known are the flags without dashes: {', '.join(sorted(known))}"


def is_settings(top: "YamlEntry", known: Iterable[str]) -> bool:
    """Whether a file is meant as a settings file: it has a key of one, or one that is nearly such a key."""
    if not top.is_mapping:
        return False
    keys = [key for key, _ in top.mapping()]
    return any(key in known or ("." in key and get_close_matches(key, known, n=1)) for key in keys)


def _keys(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    for option in command.params:
        if not isinstance(option, click.Option) or option.opts[0] == _FLAG or option.is_eager:
            continue
        if not getattr(option, "for_one_call", False):
            yield option.opts[0].removeprefix("--"), option


def _value(option: click.Option, entry: "YamlEntry") -> Any:
    """Convert a value as its flag does. A switch is a boolean; a flag that may be repeated is a value or a list."""
    if option.is_flag:
        return entry.boolean()
    if isinstance(option.type, click.File):
        return entry.text()  # the command opens the file when it runs
    if option.multiple:
        texts = entry.texts() if entry.is_sequence else (entry.text(),)
        return [option.type.convert(text, option, None) for text in texts]
    return option.type.convert(entry.text(), option, None)
