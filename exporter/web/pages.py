"""The landing page: plain HTML without scripts; everything that comes from the disk is escaped."""

import time
from collections.abc import Iterable, Sequence
from html import escape

from exporter.publication import Summary
from exporter.units import age, human
from exporter.version import VERSION

_STYLE = """
:root { color-scheme: light dark; --soft: color-mix(in srgb, currentColor 12%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p.sub { margin-top: 0; opacity: .75; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); column-gap: 2.5rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
td { padding: .15rem .4rem; border-top: 1px solid var(--soft); }
td.name { overflow-wrap: anywhere; } td.size { width: 6.5rem; text-align: right; white-space: nowrap; }
td.bar { width: 28%; } .fill { display: block; height: .7rem; border-radius: 2px; background: #3b82c4; }
.error { border-left: 4px solid #c33; padding: .4rem .8rem; background: var(--soft); }
.facts td:first-child { width: 9rem; opacity: .75; }
a { color: inherit; }
@media (max-width: 34rem) { main { display: block; } }
"""


def landing(summary: Summary) -> str:
    """The page at `/`: what is read, how old the figures are, and what is largest."""
    sections = (
        ("Data root by top-level entry (on disk)", summary.directories),
        ("Images (virtual size)", summary.images),
        ("Containers (writable layer)", summary.containers),
        ("Container logs", summary.logs),
        ("Volumes", summary.volumes),
    )
    tables = "".join(_section(title, rows) for title, rows in sections if any(size for _, size in rows))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>docker-storage-exporter</title><style>{_STYLE}</style></head><body>"
        f'<h1>docker-storage-exporter</h1><p class="sub">version {escape(VERSION)} · '
        '<a href="/metrics">metrics</a> · <a href="/-/ready">ready</a> · <a href="/-/healthy">healthy</a></p>'
        f"{_error(summary)}{_facts(summary)}<main>{tables}</main>{_problems(summary)}</body></html>"
    )


def _error(summary: Summary) -> str:
    if summary.error:
        return f'<p class="error">The data root {escape(summary.root)} {escape(summary.error)}.</p>'
    if summary.taken is None:
        return '<p class="error">The first scan is under way: no figures yet.</p>'
    unmeasured = ", ".join(map(escape, summary.unmeasured))
    if unmeasured:
        return f'<p class="error">Found, but measured by directory only: the layout {unmeasured}.</p>'
    return ""


def _facts(summary: Summary) -> str:
    rows = [("Data root", summary.root)]
    if summary.layouts:
        rows.append(("Layouts", ", ".join(summary.layouts)))
    if summary.drivers:
        rows.append(("Graph drivers", ", ".join(summary.drivers)))
    if summary.taken is not None:
        rows.append(("Snapshot", f"{age(time.time() - summary.taken)} old"))
        rows += [(name.capitalize(), str(count)) for name, count in summary.counts]
        rows.append(("Disk used", human(summary.used)))
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f'<table class="facts">{cells}</table>'


def _section(title: str, rows: Sequence[tuple[str, int]]) -> str:
    largest = max((size for _, size in rows), default=0) or 1
    cells = "".join(
        f'<tr><td class="name">{escape(name)}</td><td class="bar">'
        f'<span class="fill" style="width:{100 * size / largest:.1f}%"></span></td>'
        f'<td class="size">{human(size)}</td></tr>'
        for name, size in rows
    )
    return f"<section><h2>{escape(title)}</h2><table>{cells}</table></section>"


def _problems(summary: Summary) -> str:
    if not summary.problems:
        return ""
    rows: Iterable[str] = (
        "<tr>" + "".join(f'<td class="name">{escape(cell)}</td>' for cell in problem) + "</tr>"
        for problem in summary.problems
    )
    return f"<h2>What could not be read</h2><table>{''.join(rows)}</table>"
