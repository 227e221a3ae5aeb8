"""The commands of each runbook, as they are printed, on the host of a real engine that has the trouble.

What they say is compared with what is there, and what they free with the free space of the disk.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.engine import require_engine
from tests.support.paths import TOP
from tests.support.product import needs
from tests.support.runbooks import containers, damage, service, space
from tests.support.runbooks.elsewhere import NOT_RUN, Elsewhere, Foreign
from tests.support.runbooks.host import Host, Kind, host
from tests.support.runbooks.pages import fences, inline, is_query, is_said, pages, quoted

pytestmark = pytest.mark.xdist_group("runbooks")

_Followed = dict[str, Callable[[Host], None]]
#: How each runbook is followed, by the kind of the host.
FOLLOWED: dict[Kind, _Followed] = {
    "debian": containers.FOLLOWED | space.FOLLOWED | damage.FOLLOWED | service.FOLLOWED,
    "today": containers.FOLLOWED | space.FOLLOWED | damage.TODAY,
    "debian btrfs": {"DockerContainerWritableLayerNearLimit": containers.writable_limit},
    "today btrfs": {"DockerStorageImageStoreUnsupported": damage.unsupported},
}
#: Commands that only an engine with containerd's image store has.
_TODAY = {
    command
    for page in pages()
    for command in inline(page)
    if command.startswith(("ctr ", "docker buildx history ", "docker volume prune --all"))
}
_CASES = [(kind, page) for kind, followed in FOLLOWED.items() for page in followed]


@pytest.fixture(scope="module")
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    require_engine()
    with host(request.param, tmp_path_factory.mktemp("host")) as one:
        yield one


def required(kind: Kind, page: str) -> set[str]:
    """The commands of a runbook that have to be run on a host of that kind."""
    every = {*fences(page), *inline(page)} - NOT_RUN.keys()
    if kind == "debian" or page not in FOLLOWED["debian"]:
        return every - (set() if kind.startswith("today") else _TODAY)
    return every & _TODAY


@pytest.mark.parametrize(("small", "page"), _CASES, indirect=["small"], ids=[" ".join(one) for one in _CASES])
def test_the_commands_of_a_runbook_do_what_it_says(small: Host, page: str, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["small"]
    small.begin(page)
    FOLLOWED[kind][page](small)
    assert required(kind, page) <= small.done


def test_every_command_of_every_runbook_is_run_or_left_out_for_a_reason() -> None:
    written = {page for page in pages() if fences(page) or inline(page) - NOT_RUN.keys()}
    assert written == {page for followed in FOLLOWED.values() for page in followed}
    for page in FOLLOWED["today"]:
        assert page in FOLLOWED["debian"]


def test_whatever_else_stands_as_code_is_a_query_or_no_command() -> None:
    """So that a command of a program that no runbook has named so far is not overlooked."""
    others = {one for page in pages() for one in quoted(page) - inline(page) if " " in one and not is_query(one)}
    assert {one for one in others if not is_said(one)} == set()
    alone = {one for page in pages() for one in quoted(page) - inline(page) if " " not in one and shutil.which(one)}
    assert alone <= {"btrfs", "df", "du", "rm", "timeout", "zfs"}, "drivers, reasons, and what images lack"


@needs("promtool")
def test_prometheus_takes_the_queries_of_runbooks(tmp_path: Path) -> None:
    queries = sorted({one for page in pages() for one in quoted(page) if is_query(one)})
    assert len(queries) > 10
    rules = [{"record": f"a:query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.json"  # which is YAML
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_not_run_is_in_a_runbook_and_has_a_reason_that_holds() -> None:
    assert NOT_RUN.keys() <= {command for page in pages() for command in inline(page)}
    installed = next(
        line for line in (TOP / "Makefile").read_text().splitlines() if line.startswith("APT_TEST :=")
    ).split()
    for command, why in NOT_RUN.items():
        if isinstance(why, Elsewhere):
            name = why.test.partition("::")[2]
            assert f"def {name}(" in (TOP / why.file).read_text(), command
        elif isinstance(why, Foreign):
            assert why.package not in installed, command
