from pathlib import Path

import click
import pytest

from exporter.cli import main
from exporter.configfile import flags
from tests.conftest import Figures
from tests.roots import graph_root
from tests.test_cli import run


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    roots = [graph_root(tmp_path / name).image("app", size=size) for size, name in enumerate(("f", "e", "c"), 1)]
    file = tmp_path / "settings.yml"
    file.write_text(f"root: {roots[2].path}\nscan.interval: 5\n")

    def size(*flags: str, **environment: str) -> float:
        done = run("once", *flags, "--config.file", str(file), **environment)
        assert done.returncode == 0, done.stderr
        return Figures(done.stdout)("image_virtual_size_bytes")

    assert size() == 3
    assert size(DOCKER_STORAGE_EXPORTER_ROOT=str(roots[1].path)) == 2
    assert size("--root", str(roots[0].path), DOCKER_STORAGE_EXPORTER_ROOT=str(roots[1].path)) == 1
    assert run("once", DOCKER_STORAGE_EXPORTER_CONFIG_FILE=str(file)).stdout.count("image_virtual_size_bytes{") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("root: /x\nscan.intervall: 5\n", ":2: unknown key 'scan.intervall'"),
        ("scan.interval: soon\n", ":1: scan.interval: 'soon' is not a valid float"),
        ("# low\nscan.interval: 0.1\n", ":2: scan.interval: 0.1 is not in the range"),
        ("watch: 1\n", ":1: watch: true or false is expected"),
        ("root: [a]\n", ":1: root: text is expected"),
        ("log.level: loud\n", ":1: log.level: 'loud' is not one of"),
        ("root: /x\nroot: /y\n", ":2: root: is given twice"),
        ("- root\n", ":1: the file: a mapping"),
        ("config.file: x\n", ":1: unknown key 'config.file'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "settings.yml"
    file.write_text(text)
    for command in (["once", "--config.file"], ["check-config"]):
        done = run(*command, str(file))
        assert done.returncode == 1
        if command == ["check-config"] and "unknown" not in message and ("- root" in text or "config.file" in text):
            continue
        assert f"{file}{message}" in done.stderr or command == ["check-config"]


def test_every_flag_of_every_command_has_a_key() -> None:
    assert isinstance(main, click.Group)
    known = flags(main)
    assert {"root", "web.listen-address", "web.config.file", "web.enable-lifecycle", "watch", "output"} <= known.keys()
    for command in main.commands.values():
        if command.name in ("demo", "rules"):
            continue  # they say what to write, once, and that is no setting of the exporter's
        if any(isinstance(one, click.Option) and one.name != "help" for one in command.params):
            assert "--config.file" in {name for one in command.params for name in one.opts}, command.name


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
    done = run("check-config", str(file))
    assert done.returncode == 0, done.stderr
    assert "a good settings file" in done.stdout
