"""The twelve questions of docs/questions.md, each answered by its one command on an example host.

No daemon runs on these hosts. They have the sizes that the demo writes; how many disk blocks these take depends on the
filesystem, so no answer here is of those.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.demo import build_containerd_host, build_host
from tests.support.documents import shown
from tests.support.forked import Forked
from tests.support.paths import TOP

_QUESTIONS = list(shown(TOP / "docs/questions.md"))
_BUILD, _CONTAINERD = "build", "containerd"
_GROWN = 3_000_000


@dataclass(frozen=True)
class Host:
    """The example hosts, with what the build host was yesterday in `old.json`, and what forks."""

    top: Path
    forked: Forked

    def ask(self, number: int, host: str) -> list[str]:
        """The lines that question `number` is answered with. The exit status is 0, and nothing is complained of."""
        root = self.top / host
        words = [re.sub("^/var/lib/docker", str(root), one) for one in _QUESTIONS[number - 1].words[1:]]
        words = ["old.json" if one == "OLD" else "100MB" if one == "20GB" else one for one in words]
        done = self.forked.run(words, {"DOCKER_STORAGE_EXPORTER_ROOT": str(root)})
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    top = tmp_path_factory.mktemp("questions")
    build_host(top / _BUILD)
    build_containerd_host(top / _CONTAINERD)
    with Forked(top) as forked:
        found = Host(top, forked)
        done = forked.run(["snapshot"], {"DOCKER_STORAGE_EXPORTER_ROOT": str(top / _BUILD)}, "old.json")
        assert done.returncode == 0, done.stderr
        (top / _BUILD / "volumes/shop_db/_data/grown").write_bytes(b"x" * _GROWN)
        yield found
    shutil.rmtree(top)


def _first(lines: list[str], heading: str) -> list[str]:
    """The cells of the first row of the table with such a heading."""
    at = next(number for number, line in enumerate(lines) if heading in line.split("\t"))
    return lines[at + 1].split("\t")


def _the_first_is(heading: str, *cells: str) -> Callable[[list[str]], bool]:
    return lambda lines: {*cells} <= {*_first(lines, heading)}


def _say(*parts: str) -> Callable[[list[str]], bool]:
    return lambda lines: all(any(part in line for line in lines) for part in parts)


_ANSWERS: list[tuple[int, str, Callable[[list[str]], bool]]] = [
    (1, _BUILD, _the_first_is("PART", "overlay2")),
    (1, _BUILD, _say("Build Cache\t6\t", "docker builder prune --all", "AVAILABLE")),
    (1, _CONTAINERD, _the_first_is("PART", "containerd")),
    (1, _CONTAINERD, _say("docker buildx history rm --all", "snapshots of images: unpacked layers")),
    (2, _BUILD, _the_first_is("LOG LIMIT", "worker", "900 MB", "none")),
    (2, _CONTAINERD, _the_first_is("LOG LIMIT", "worker", "13 MB", "none")),
    (3, _BUILD, _the_first_is("WRITABLE", "runner", "700 MB")),
    (3, _CONTAINERD, _the_first_is("WRITABLE", "runner")),
    (4, _BUILD, _the_first_is("PATH", "700 MB", "work.tar")),
    (4, _CONTAINERD, _say("container runner: writable layer")),
    (5, _BUILD, _the_first_is("VOLUME NAME", "old_db", "410 MB", "none")),
    (5, _CONTAINERD, _the_first_is("VOLUME NAME", "old_db", "none")),
    (6, _BUILD, _the_first_is("UNIQUE", "debian", "11", "118 MB")),
    (6, _BUILD, _say("Not loaded by the engine: debian:11.")),
    (6, _CONTAINERD, _the_first_is("UNIQUE", "runner-debug", "1")),
    (7, _BUILD, _the_first_is("FREES", "build cache")),
    (7, _BUILD, _say("docker builder prune --all")),
    (8, _BUILD, _say("+3.002 MB\tvolume\t", "\tshop_db")),
    (9, _BUILD, _say("volume-shop_db.tar.gz", "volume-old_db.tar.gz", "260 MB that web-before-upgrade wrote")),
    (9, _CONTAINERD, _say("volume-shop_db.tar.gz")),
    (10, _BUILD, _say("volume: old_db, 410 MB, mounted by no container")),
    (11, _BUILD, _the_first_is("PART", "overlay2")),
    (11, _CONTAINERD, _the_first_is("PART", "containerd")),
    (12, _CONTAINERD, _the_first_is("WRITABLE", "k8s.io", "monitoring/agent-x7k2p/agent")),
]


@pytest.mark.parametrize(("number", "host", "is_answered"), _ANSWERS, ids=[f"{n}-{h}" for n, h, _ in _ANSWERS])
def test_a_question_is_answered_by_one_command(
    hosts: Host, number: int, host: str, is_answered: Callable[[list[str]], bool]
) -> None:
    lines = hosts.ask(number, host)
    assert is_answered(lines), "\n".join(lines)


def test_what_would_free_enough_or_not_is_said(hosts: Host) -> None:
    """On the small host all steps together do not free as much: the exit status says so."""
    done = hosts.forked.run(["free", "100GB"], {"DOCKER_STORAGE_EXPORTER_ROOT": str(hosts.top / _BUILD)})
    assert done.returncode == 1
    assert "That is not enough" in done.stdout
    assert "1 image that the engine does not load, 118 MB" in done.stdout
    assert "2 volumes without a container" in done.stdout


def test_there_are_twelve_and_each_is_asked() -> None:
    assert len(_QUESTIONS) == 12
    assert {number for number, *_ in _ANSWERS} == set(range(1, 13))
