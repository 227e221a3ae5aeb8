from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from exporter.cli.config_file import _keys, flags
from exporter.cli.main import main


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("root: /x\nscan.intervall: 5\n", ":2: unknown key 'scan.intervall'; did you mean scan.interval?"),
        ("scan.intervall: 5\n", ":1: unknown key 'scan.intervall'; did you mean scan.interval?"),
        ("web.telemetry-path: m\n", ":1: web.telemetry-path: 'm' is no path of its own"),
        ("web.telemetry-path: /build-cache\n", ":1: web.telemetry-path: '/build-cache' is no path of its own"),
        ("collector.images.include: (\n", ":1: collector.images.include: '(' is no regular expression"),
        ("scan.interval: soon\n", ":1: scan.interval: 'soon' is no duration, such as 90, 90s or 1m30s"),
        ("# low\nscan.interval: 0.1\n", ":2: scan.interval: 0.1 is not in the range"),
        ("watch: 1\n", ":1: watch: true or false is expected"),
        ("root: [a]\n", ":1: root: text is expected"),
        ("log.level: loud\n", ":1: log.level: 'loud' is not one of"),
        ("root: /x\nroot: /y\n", ":2: root: is given twice"),
        ("- root\n", ":1: the file: a mapping"),
        ("config.file: x\n", ":1: unknown key 'config.file'"),
        ("sort: size\n", ":1: unknown key 'sort'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "settings.yml"
    file.write_text(text)
    done = CliRunner().invoke(main, ["once", "--config.file", str(file)])
    assert done.exit_code == 2
    assert f"{file}{message}" in done.output
    assert CliRunner().invoke(main, ["check-config", str(file)]).exit_code == 1


def test_every_flag_of_every_command_has_a_key() -> None:
    assert isinstance(main, click.Group)
    known = flags(main)
    assert {"root", "web.listen-address", "web.config.file", "web.enable-lifecycle", "watch", "output"} <= known.keys()
    for command in main.commands.values():
        if command.name in ("demo", "rules"):
            continue  # they say what to write, once, and that is no setting of the exporter's
        if any(isinstance(one, click.Option) and one.name != "help" for one in command.params):
            assert "--config.file" in {name for one in command.params for name in one.opts}, command.name


def _options() -> list[tuple[click.Command, str, click.Option]]:
    assert isinstance(main, click.Group)
    return [
        (command, key, option)
        for command in main.commands.values()
        if command.name not in ("demo", "rules")
        for key, option in _keys(command)
    ]


def _three(option: click.Option, file: Path) -> list[str]:
    """Three values that the option takes, as they are written, different where its type allows that."""
    if isinstance(option.type, click.Choice):
        return (list(option.type.choices) * 2)[:3]
    if isinstance(option.type, click.File | click.Path):
        return [str(file)] * 3
    if option.type.name == "path":
        return ["/one", "/two", "/three"]
    if isinstance(option.type, click.FloatRange) and option.type.max is not None:
        return ["0.25", "0.5", "0.75"]
    numbers = option.type.name in ("integer range", "float range", "duration")
    return ["25", "50", "75"] if numbers else ["one:1", "two:2", "three:3"]


@pytest.mark.parametrize(
    ("command", "key", "option"), _options(), ids=[f"{command.name} {key}" for command, key, _ in _options()]
)
def test_every_flag_goes_before_its_variable_before_the_file_before_its_default(
    command: click.Command, key: str, option: click.Option, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = tmp_path / "password"
    password.touch()
    arguments = ["x" for one in command.params if isinstance(one, click.Argument) and one.required]
    settings = tmp_path / "settings.yml"

    def taken(*given: str) -> tuple[str, object]:
        parent = click.Context(main, info_name="docker-storage-exporter")
        context = command.make_context(command.name, [*given, *arguments], parent=parent)
        with context:
            name = str(option.name)
            source = context.get_parameter_source(name)
            assert source is not None
            value = context.params[name]
            return source.name, getattr(value, "name", value)

    def converted(text: str) -> object:
        if isinstance(option.type, click.File):
            return text
        value = option.type.convert(text, option, None)
        return (value,) if option.multiple else value

    by_flag, by_variable, by_file = _three(option, password)
    assert taken()[0] == "DEFAULT"
    if option.is_flag:
        assert not option.envvar or str(option.envvar).replace("_", "").isalnum()
        for value in ("true", "false"):
            settings.write_text(f"{key}: {value}\n")
            assert taken("--config.file", str(settings)) == ("DEFAULT_MAP", value == "true")
            if option.envvar:
                monkeypatch.setenv(str(option.envvar), "0" if value == "true" else "1")
                assert taken("--config.file", str(settings)) == ("ENVIRONMENT", value == "false")
                monkeypatch.delenv(str(option.envvar))
        assert taken("--config.file", str(settings), option.opts[0]) == ("COMMANDLINE", True)
        return
    settings.write_text(f'{key}: "{by_file}"\n')
    assert taken("--config.file", str(settings)) == ("DEFAULT_MAP", converted(by_file))
    if option.envvar:
        monkeypatch.setenv(str(option.envvar), by_variable)
        assert taken("--config.file", str(settings)) == ("ENVIRONMENT", converted(by_variable))
        assert taken() == ("ENVIRONMENT", converted(by_variable))
    assert taken("--config.file", str(settings), option.opts[0], by_flag) == ("COMMANDLINE", converted(by_flag))


def test_a_file_with_every_default_is_good(tmp_path: Path) -> None:
    assert isinstance(main, click.Group)
    lines = []
    for key, option in flags(main).items():
        default = option.default
        if option.multiple and isinstance(default, tuple):
            lines.append(f'{key}: ["{default[0]}"]')
        elif isinstance(default, bool):
            lines.append(f"{key}: {str(default).lower()}")
        elif isinstance(default, str | int | float):
            lines.append(f"{key}: {default or 'null'}" if isinstance(default, str) else f"{key}: {default}")
    file = tmp_path / "settings.yml"
    file.write_text("\n".join(lines))
    done = CliRunner().invoke(main, ["check-config", str(file)])
    assert done.exit_code == 0, done.output
    assert "a good settings file" in done.output


def test_a_flag_for_one_call_is_not_taken_from_a_file_that_means_another_command(tmp_path: Path) -> None:
    """`watch` is that of `run` there."""
    file = tmp_path / "settings.yml"
    file.write_text("watch: false\nroot: /nowhere\n")
    assert isinstance(main, click.Group)
    command = main.commands["volumes"]
    with click.Context(command, parent=click.Context(main)) as context:
        context.default_map = None
        command.parse_args(context, ["--config.file", str(file)])
        assert (context.params["watch"], context.params["root"]) == (None, "/nowhere")
