"""The commands of each runbook, as they are printed, on the host of a real engine that has the trouble.

What they say is compared with what is there, and what they free with the free space of the disk.
"""

import contextlib
import functools
import json
import re
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
from tests.support.runbooks.host import Followed, Host, Kind, host
from tests.support.runbooks.pages import fences, inline, is_command, is_query, is_said, pages, quoted

pytestmark = pytest.mark.xdist_group("runbooks")

#: How runbooks are followed, by the kind of the host.
FOLLOWED: dict[Kind, Followed] = {
    "debian": containers.FOLLOWED | space.FOLLOWED | damage.FOLLOWED | service.FOLLOWED,
    "today": containers.TODAY | space.TODAY | damage.TODAY,
    "debian btrfs": containers.LIMITED,
    "today btrfs": damage.UNSUPPORTED,
}
#: Commands that only an engine with containerd's image store has.
_TODAY = re.compile(r"ctr |docker buildx history |docker volume prune --all")
_CASES = [(kind, several) for kind, followed in FOLLOWED.items() for several in followed]
_NAMES = [f"{kind} {several[0]}" for kind, several in _CASES]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Host]]:
    """Each host is there from its first use on."""
    require_engine()
    with contextlib.ExitStack() as stack:
        yield functools.cache(lambda kind: stack.enter_context(host(kind, tmp_path_factory.mktemp("host"))))


def required(kind: Kind, page: str) -> set[str]:
    """The commands of a runbook that have to be run on a host of that kind."""
    every = {*fences(page), *inline(page)} - NOT_RUN.keys()
    of_today = {one for one in every if _TODAY.match(one)}
    if kind == "today btrfs":
        return every
    return of_today if kind == "today" else every - of_today


@pytest.mark.parametrize(("kind", "several"), _CASES, ids=_NAMES)
def test_the_commands_of_runbooks_do_what_they_say(
    hosts: Callable[[Kind], Host], kind: Kind, several: tuple[str, ...]
) -> None:
    one = hosts(kind)
    one.begin(*several)
    FOLLOWED[kind][several](one)
    missed = {page: required(kind, page) - one.done for page in several}
    assert {page: commands for page, commands in missed.items() if commands} == {}


def test_every_command_of_every_runbook_is_run_or_left_out_for_a_reason() -> None:
    followed = {kind: {page for several in FOLLOWED[kind] for page in several} for kind in FOLLOWED}
    assert {page for page in pages() if fences(page) or inline(page) - NOT_RUN.keys()} == set().union(
        *followed.values()
    )
    of_today = {page for page in pages() if any(map(_TODAY.match, inline(page) - NOT_RUN.keys()))}
    assert of_today <= followed["today"] | followed["today btrfs"]


def test_whatever_else_stands_as_code_is_a_query_or_no_command() -> None:
    """So that a command of a program that no runbook has named so far is not overlooked."""
    others = {one for page in pages() for one in quoted(page) if not is_command(one)}
    assert {one for one in others if " " in one and not is_query(one) and not is_said(one)} == set()
    alone = set(filter(shutil.which, others))
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
