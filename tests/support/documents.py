"""The commands that the documents show in blocks of shell, and in sentences."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import TOP

#: All documents but runbooks: tests/system/test_runbooks.py follows those.
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(docker-storage-exporter [^`]+)`")


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a page, as it stands there; `output` is the file that it writes its output to."""

    page: str
    line: str
    words: tuple[str, ...]
    output: str = ""


def fences(page: Path, language: str) -> list[str]:
    """The blocks of one language."""
    return [text for kind, text in _FENCE.findall(page.read_text()) if kind == language]


def shown(page: Path) -> Iterator[Command]:
    """The commands of the blocks of a page. Of several in a pipe it is the first one."""
    for text in fences(page, "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "|" in words:
                words = words[: words.index("|")]
            output = words.pop() if words[-2:-1] == [">"] else ""
            if words:
                line_alone = re.sub(r"\s+#.*", "", re.sub(r"\s+", " ", line)).strip()
                yield Command(page.name, line_alone, tuple(words[:-1] if output else words), output)


def inline(page: Path) -> Iterator[Command]:
    """The commands of the exporter in the sentences of a page."""
    text = _FENCE.sub("", page.read_text())
    for line in _INLINE.findall(text):
        yield Command(page.name, line, tuple(shlex.split(line)))
