"""Which data root is read where none is named."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from exporter.cli import options
from exporter.cli.main import main
from exporter.config.default_root import SNAP, ChosenRoot, choose_root
from exporter.config.settings import DEFAULT_ROOT


class _Host:
    """A machine with these places."""

    def __init__(self, top: Path) -> None:
        self.usual, self.snap, self.home = top / "var/lib/docker", top / "snap", top / "home"
        self.rootless = self.home / ".local/share/docker"

    def choose(self, **environment: str) -> ChosenRoot:
        return choose_root(str(self.usual), str(self.snap), {"HOME": str(self.home), **environment})


@pytest.fixture
def host(tmp_path: Path) -> _Host:
    return _Host(tmp_path)


def _engine(path: Path) -> None:
    (path / "containers").mkdir(parents=True)


def test_without_another_one_it_is_the_usual_place_and_nothing_is_said(host: _Host) -> None:
    assert host.choose() == ChosenRoot(str(host.usual))
    _engine(host.usual)
    assert host.choose() == ChosenRoot(str(host.usual))
    host.snap.mkdir()  # the package of the snap without an engine that was started
    assert host.choose() == ChosenRoot(str(host.usual))


@pytest.mark.parametrize("left_over", [False, True])
def test_the_one_that_is_there_is_taken(host: _Host, left_over: bool) -> None:
    if left_over:
        host.usual.mkdir(parents=True)
    _engine(host.rootless)
    found = host.choose()
    assert found.root == str(host.rootless)
    assert f"{host.usual} is no data root" in found.why
    assert "rootless" in found.why
    _engine(host.snap)
    found = host.choose()
    assert found.root == str(host.snap), "before that of one user"
    assert f"{host.rootless} is there, too" in found.why


def test_of_several_the_usual_place_comes_first_and_the_others_are_named(host: _Host) -> None:
    for one in (host.usual, host.snap, host.rootless):
        _engine(one)
    found = host.choose()
    assert found.root == str(host.usual)
    assert f"{host.snap} and {host.rootless} are there, too" in found.why


def test_the_data_home_of_the_user_is_where_it_says(host: _Host, tmp_path: Path) -> None:
    _engine(tmp_path / "data/docker")
    assert host.choose(XDG_DATA_HOME=str(tmp_path / "data")).root == str(tmp_path / "data/docker")
    assert host.choose(XDG_DATA_HOME="data").root == str(host.usual), "a relative one does not count"
    assert host.choose(HOME="").root == str(host.usual)


def test_what_this_user_may_not_read_is_not_taken_before_what_he_may(
    host: _Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exporter.config import default_root  # noqa: PLC0415

    _engine(host.rootless)
    monkeypatch.setattr(default_root, "_state", lambda path: None if path == str(host.usual) else path.startswith("/"))
    assert "may not be read by this user" in host.choose().why
    monkeypatch.setattr(default_root, "_state", lambda _: None)
    assert host.choose() == ChosenRoot(str(host.usual)), "the error names it"


def test_it_is_said_and_a_root_that_is_named_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @options.root
    def tell(root: str) -> None:
        options.say_why_this_root(root)
        click.echo(f"[{root}]")

    monkeypatch.setattr(options, "choose_root", lambda: ChosenRoot("/other", "it is there"))
    run = CliRunner().invoke
    assert (
        run(tell).output == "docker-storage-exporter: reads /other: it is there; --root names another one\n[/other]\n"
    )
    assert run(tell, ["--root", DEFAULT_ROOT]).output == f"[{DEFAULT_ROOT}]\n"
    assert run(tell, env={"DOCKER_STORAGE_EXPORTER_ROOT": "/named"}).output == "[/named]\n"
    assert run(tell, default_map={"root": "/file"}).output == "[/file]\n"
    for place in (DEFAULT_ROOT, SNAP, "~/.local/share/docker"):
        assert place in "".join(run(main, ["df", "--help"]).output.split())
