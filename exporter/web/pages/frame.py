"""The frame of all pages: the title, the links to the other pages, and the look."""

from string import Template

from exporter.core.version import VERSION
from exporter.web.pages.escaping import escape
from exporter.web.pages.html import link
from exporter.web.pages.style import STYLE

NAME = "docker-storage-exporter"
#: The pages, as the links of all pages have them.
PAGES = (
    ("/", "overview"),
    ("/images", "images"),
    ("/containers", "containers"),
    ("/volumes", "volumes"),
    ("/layers", "layers"),
    ("/build-cache", "build cache"),
    ("/status", "status"),
    ("/runbooks", "runbooks"),
)
_PROGRAMS = (("/api/v1/snapshot", "snapshot"), ("/-/ready", "ready"), ("/-/healthy", "healthy"))
_PAGE = Template(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>$title</title>'
    f'<style>{STYLE}</style></head><body><a class="skip" href="#content">Skip to the content</a>'
    '<header><h1>$title</h1><nav aria-label="Pages"><ul>$pages</ul></nav>$facts</header>'
    '<main id="content"$kind tabindex="-1">$content</main>'
    f'<footer><p>{NAME} {escape(VERSION)}</p><nav aria-label="For programs"><ul>$programs</ul></nav></footer>'
    "</body></html>\n"
)


class PageFrame:
    """Makes whole pages. `metrics` is the path of the metrics."""

    def __init__(self, metrics: str = "/metrics") -> None:
        links = ((metrics, "metrics"), *_PROGRAMS)
        self._programs = "".join(f"<li>{link(*one)}</li>" for one in links)

    def page(self, title: str, path: str, content: str, *, facts: str = "", kind: str = "") -> str:
        """A whole page, which is at `path`. `content` and `facts` are HTML; `kind` is the class of the content."""
        pages = "".join(_entry(address, name, _current(address, path)) for address, name in PAGES)
        of_kind = f' class="{escape(kind)}"' if kind else ""
        return _PAGE.substitute(
            title=escape(title), pages=pages, content=content, facts=facts, kind=of_kind, programs=self._programs
        )


def _current(address: str, path: str) -> str:
    """How a link to a page is marked on the page at `path`: it is that page, or the list that has it."""
    if address == path:
        return "page"
    return "true" if address != "/" and path.startswith(f"{address}/") else ""


def _entry(address: str, name: str, current: str) -> str:
    here = f' aria-current="{current}"' if current else ""
    return f'<li><a href="{escape(address)}"{here}>{escape(name)}</a></li>'
