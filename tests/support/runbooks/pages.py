"""The commands of the runbooks: those in blocks, and those within sentences."""

import functools
import re
import textwrap

from exporter.cli.main import main
from tests.support.paths import TOP

PAGES = TOP / "docs/runbooks"
_FENCE = re.compile(r"^( *)```sh\n(.*?)^\1```$\n?", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_PROGRAM = re.compile(
    r"btrfs|chronyc|crictl|ctr|dmesg|dmsetup|docker|docker-storage-exporter|fsck|journalctl|kill|kubectl|ls|mkfs\.ext4"
    r"|mount|ntpq|promtool|rm|smartctl|sysctl|systemctl|timedatectl|ulimit|umount|xfs_repair|zfs"
)
#: Words that are something else where they stand alone: a driver, or the program that an image lacks.
_NOT_ALONE = frozenset(("btrfs", "docker", "docker-storage-exporter", "rm", "zfs"))
#: What is said and is no command: messages, settings, and a word for all commands of a kind.
_SAID = re.compile(r"[A-Z]|no |it |layer |\"|docker \.\.\. prune$")


def pages() -> list[str]:
    """The names of all runbooks."""
    return sorted(path.stem for path in PAGES.glob("*.md"))


@functools.cache
def fences(page: str) -> list[str]:
    """The commands of a runbook, one text for each block."""
    return [textwrap.dedent(text) for _, text in _FENCE.findall((PAGES / f"{page}.md").read_text())]


@functools.cache
def quoted(page: str) -> frozenset[str]:
    """All that stands as code within the sentences of a runbook."""
    return frozenset(_INLINE.findall(_FENCE.sub("", (PAGES / f"{page}.md").read_text())))


@functools.cache
def inline(page: str) -> frozenset[str]:
    """The commands within the sentences of a runbook, and the flags that are to be given with a value.

    What is a line of a block as well is run with that.
    """
    lines = {line for text in fences(page) for line in text.splitlines()}
    lines |= {line.removeprefix("docker-storage-exporter ") for line in lines}
    return frozenset(one for one in quoted(page) - lines if is_command(one))


def is_command(text: str) -> bool:
    """Whether somebody would type this."""
    if is_said(text):
        return False
    first, *more = text.split()
    if first.startswith("--"):
        return bool(more)
    if _PROGRAM.fullmatch(first):
        return bool(more) or first not in _NOT_ALONE
    return bool(more) and first in main.commands


def is_said(text: str) -> bool:
    """Whether this is a message, a setting in JSON, or a word for all commands of a kind."""
    return _SAID.match(text) is not None


def is_query(text: str) -> bool:
    """Whether this is an expression for Prometheus rather than the name of a metric or the pattern of some."""
    return bool(re.search(r"\bup\b|docker_storage_\w+\b", text)) and bool(re.search(r"[({\s]", text))
