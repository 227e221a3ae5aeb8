"""The runbooks of the alerts, served at `/runbooks/NAME`: an alert can link to the exporter that it is about."""

import os
from collections.abc import Mapping

from exporter.web.pages.frame import PageFrame
from exporter.web.pages.html import section
from exporter.web.pages.markdown import html_of

PATH = "/runbooks"
_LIST = (PATH, f"{PATH}/")
_SUFFIX = ".md"
#: In an installation they are beside this file, in a checkout with the rest of the documentation.
_HERE = os.path.dirname(os.path.abspath(__file__))
_PLACES = (f"{_HERE}/runbooks", os.path.normpath(f"{_HERE}/../../../docs/runbooks"))


def load() -> dict[str, str]:
    """The Markdown of all runbooks by the names of their alerts; empty where they are not installed.

    They are read once, before the serving process gives up its right to read files.
    """
    for place in _PLACES:
        if os.path.isdir(place):
            names = sorted(name for name in os.listdir(place) if name.endswith(_SUFFIX))
            return {name.removesuffix(_SUFFIX): _read(f"{place}/{name}") for name in names}
    return {}


def _read(file: str) -> str:
    with open(file, encoding="utf-8") as opened:
        return opened.read()


class Runbooks:
    """Makes the pages, when somebody asks for one."""

    def __init__(self, texts: Mapping[str, str], frame: PageFrame | None = None) -> None:
        self._texts = texts
        self._frame = frame or PageFrame()

    def has(self, path: str) -> bool:
        """Whether this is the path of a runbook, also with `.md`, or of the list of all."""
        return path in _LIST or (path.startswith(f"{PATH}/") and _name(path) in self._texts)

    def page(self, path: str) -> bytes:
        """The page at a path that `has` knows."""
        if path in _LIST:
            return self._index()
        name = _name(path)
        sections = "".join(self._section(one) for one in self._texts[name].split("\n## ")[1:])
        return self._frame.page(name, path, sections, kind="runbook").encode()

    def _section(self, text: str) -> str:
        title, *lines = text.split("\n")
        return section(title, html_of(lines, self._link), wide=True)

    def _index(self) -> bytes:
        names = "".join(f'<li><a href="{PATH}/{name}">{name}</a></li>' for name in self._texts)
        list_ = f"<ul>{names}</ul>" if names else "<p>They are not installed here.</p>"
        return self._frame.page("Runbooks", PATH, section("Alerts", list_, wide=True), kind="runbook").encode()

    def _link(self, address: str) -> str | None:
        if address in self._texts:
            return f"{PATH}/{address}"
        return address if address.startswith(("https://", "http://")) else None


def _name(path: str) -> str:
    return path.removeprefix(f"{PATH}/").removesuffix(_SUFFIX)
