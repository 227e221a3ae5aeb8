"""Every command that a document shows is run on example roots, or is left out for a reason that stands here.

The commands of runbooks are run by tests/system/test_runbooks.py, on hosts that have the trouble.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.demo import build_demo, build_host
from tests.support.documents import PAGES, Command, fences, inline, shown
from tests.support.exporter import Exporter, exporter
from tests.support.forked import Forked
from tests.support.paths import TOP
from tests.support.product import needs
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.xdist_group("documents")
_NAME = "docker-storage-exporter"
_SERVER = "http://127.0.0.1:9588"
#: Programs whose lines belong into a block of shell.
_PROGRAMS = (_NAME, "apt", "curl", "docker", "kubectl", "make", "pip", "promtool", "sudo", "systemctl", ".venv/bin/")

#: Commands that are not run here, and why. What another test runs is `path::name`.
NOT_RUN = {
    "make demo": "tests/process/test_documents.py::test_make_demo_serves_until_it_is_interrupted",
    "make test": "it is what runs this",
    "make test-unit": "it is what runs tests/unit",
    "make setup": "it has made the .venv that runs this",
    "make lint": ".ci/run runs it",
    "make deb": "tests/system/test_debian_package.py::test_it_is_installed_run_upgraded_and_purged",
    f"apt install ./dist/{_NAME}_*.deb": (
        "tests/system/test_debian_package.py::test_it_is_installed_run_upgraded_and_purged"
    ),
    "docker run": "the image is built and run by tests/system/test_dockerfile.py, without a registry",
    "docker ps --all": "an engine whose store was switched: tests/system/test_containerd_switched.py",
    "docker system prune --all": "as above",
    "docker buildx history rm --all": "as above",
    "kubectl apply -k packaging/kubernetes": "a cluster; what it would apply: tests/unit/test_manifests.py",
    f"systemctl disable --now {_NAME}.service": "tests/system/test_booted.py::test_the_timer_writes_for_node_exporter",
    f"systemctl enable --now {_NAME}-textfile.timer": (
        "tests/system/test_booted.py::test_the_timer_writes_for_node_exporter"
    ),
    f"{_NAME} diff --since": "a Prometheus: tests/process/test_diff_command.py",
    f"{_NAME} du shop_db -i": "a terminal: tests/process/test_du_screen.py",
}


def _why_not(line: str) -> str:
    return next(
        (why for beginning, why in NOT_RUN.items() if line == beginning or line.startswith(f"{beginning} ")), ""
    )


@dataclass
class Place:
    """Where commands are run: the example roots, an exporter of one of them, and what forks."""

    scratch: Path
    root: Path
    other: Path
    server: Exporter
    forked: Forked

    def here(self, words: tuple[str, ...]) -> list[str]:
        """A command with what is here in the place of what it names."""
        places = {
            "/var/lib/docker": str(self.root),
            "/mnt/old-disk/docker": str(self.other),
            "/srv/docker": str(self.other),
            "/var/lib/node_exporter": str(self.scratch),
            "/tmp/example": str(self.scratch / "example"),
            _SERVER: f"http://127.0.0.1:{self.server.port}",
            "127.0.0.1:9588": "127.0.0.1:0",
            "20GB": "900MB",  # that much the example has
        }
        made = []
        for word in words:
            for name, instead in places.items():
                # The root's own path may stand as a label, and as itself.
                word = re.sub(rf"(?<![\w./-]){re.escape(name)}(?![\w-])", instead, word)  # noqa: PLW2901
            made.append(
                {"OLD": "old.json", "NEW": "new.json", "FILE": "config.yml", "NAME": "docker-storage"}.get(word, word)
            )
        return made

    @property
    def environment(self) -> dict[str, str]:
        variable = "DOCKER_STORAGE_EXPORTER_"
        return {f"{variable}ROOT": str(self.root), f"{variable}WEB_LISTEN_ADDRESS": "127.0.0.1:0", "COLUMNS": "120"}

    def run(self, one: Command) -> subprocess.CompletedProcess[str]:
        words = self.here(one.words)
        if words[0] == _NAME or words[0].endswith(f"/{_NAME}"):
            if words[1] == "run":
                return self._serve(words[1:])
            if words[1] == "demo":
                shutil.rmtree(self.scratch / "example", ignore_errors=True)
            return self.forked.run(words[1:], self.environment, one.output)
        directory = TOP if words[0].startswith(".venv") else self.scratch
        if words[0].startswith(".venv/bin/"):
            words = [sys.executable, "-m", words[0].removeprefix(".venv/bin/"), *words[1:], "-p", "no:cacheprovider"]
        return subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False, timeout=DEADLINE)

    def _serve(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run it until it serves, and end it as a service is ended."""
        command = [sys.executable, "-m", "exporter", *words, "--cache.file", "none"]
        environment = {**os.environ, **self.environment}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stderr is not None
            said = next((line for line in process.stderr if "event=serving" in line), "")
            process.terminate()
            rest = process.communicate()[1]
        return subprocess.CompletedProcess(words, process.returncode, said, rest)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    top = tmp_path_factory.mktemp("documents")
    scratch, root, other = top / "scratch", top / "docker", top / "old"
    scratch.mkdir()
    build_host(root)
    build_demo(other)
    for name in ("old.json", "new.json"):
        (scratch / name).write_text("")
    (scratch / "config.yml").write_text("scan.interval: 30\n")
    (scratch / "web.yml").write_text("rate_limit:\n  interval: 100ms\n  burst: 20\n")
    with exporter(root) as server, Forked(scratch) as forked:
        made = Place(scratch, root, other, server, forked)
        eventually(lambda: server.get("/-/ready")[0] == 200)
        for name in ("old.json", "new.json"):
            assert forked.run(["snapshot"], made.environment, name).returncode == 0
        yield made
    shutil.rmtree(top)


_BLOCKS = [one for page in PAGES for one in shown(page)]
_SENTENCES = [one for page in PAGES for one in inline(page) if not one.words[-1].startswith("--label")]


@pytest.mark.parametrize("page", sorted({one.page for one in _BLOCKS}))
def test_the_commands_of_a_page_do_what_they_say(place: Place, page: str) -> None:
    run = 0
    for one in (each for each in _BLOCKS if each.page == page and not _why_not(each.line)):
        if shutil.which(one.words[0]) is None and not one.words[0].endswith((_NAME, "pytest")):
            assert one.words[0] == "promtool", "all others are there"
            continue
        done = place.run(one)
        assert done.returncode == 0, f"{one.line}\n{done.stdout}{done.stderr}"
        assert done.stdout or one.words[1] == "demo" or {"--output", "-o"} & {*one.words}, one.line
        run += 1
    assert run or page in ("CONTRIBUTING.md", "install.md")


def test_the_commands_in_sentences_can_be_given_too(place: Place) -> None:
    assert len(_SENTENCES) > 5
    for one in _SENTENCES:
        done = place.run(one)
        assert done.returncode == 0, f"{one.page}: {one.line}\n{done.stdout}{done.stderr}"


def test_what_is_not_run_is_shown_and_its_reason_holds() -> None:
    for beginning, why in NOT_RUN.items():
        assert [one for one in _BLOCKS if one.line.startswith(beginning)], beginning
        for path, name in re.findall(r"(tests/\S+\.py)(?:::(\w+))?", why):
            assert f"def {name}" in (TOP / path).read_text(), beginning


def test_no_command_hides_in_a_block_of_another_kind() -> None:
    for page in PAGES:
        for language in ("", "yaml", "promql"):
            lines = [line for text in fences(page, language) for line in text.splitlines()]
            assert [line for line in lines if line.startswith(tuple(f"{one} " for one in _PROGRAMS))] == [], page.name


@needs("promtool")
def test_prometheus_takes_the_queries_of_documents(tmp_path: Path) -> None:
    blocks = [text for page in PAGES for text in fences(page, "promql")]
    queries = [one for text in blocks for one in re.split(r"\n(?! )", text.strip())]
    assert len(queries) > 5
    rules = [{"record": f"a:query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.json").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    command = ["promtool", "check", "rules", str(tmp_path / "queries.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_demo_serves_until_it_is_interrupted(place: Place) -> None:
    """As the README begins. `make setup` was done for the environment that runs this."""
    prefix = os.path.relpath(sys.prefix, TOP)
    made = f"VENV={prefix}", f"--old-file={prefix}/.locked"
    command = ["make", "--no-print-directory", *made, "demo", "DEMO_ADDRESS=127.0.0.1:0", f"DEMO_ROOT={place.other}"]
    with subprocess.Popen(command, cwd=TOP, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        said = next((line for line in process.stderr if "event=serving" in line), "")
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
        process.communicate()
    assert "addresses=127.0.0.1:" in said
