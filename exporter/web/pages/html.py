"""The layout of the pages and their tables: HTML without scripts, in which every value is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from exporter.core.log import printable
from exporter.core.text import shorten
from exporter.core.units import human
from exporter.core.version import VERSION

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --paper: #f5f7f9; --card: #fff; --line: #dde3e9; --dim: #5b6875;
  --bar: #2f7bc4; --rest: #e6ebf0; --bad: #c0342c; --warn: #a86a00; --good: #23804a; --badback: #fdeceb; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe6ed; --paper: #12181f; --card: #1a222b; --line: #2d3843;
  --dim: #93a1af; --bar: #4d9be6; --rest: #2a3540;
  --bad: #ff8078; --warn: #e0aa4e; --good: #5cc98a; --badback: #3a2022; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 1.2rem 1rem 3rem; max-width: 76rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.2rem; margin-bottom: .3rem; }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .5rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem .9rem; } a { color: var(--bar); }
.dim, th, caption { color: var(--dim); }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem;
  align-items: start; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1rem; min-width: 0;
  overflow-x: auto; } section.wide { grid-column: 1 / -1; }
main.flow { display: block; columns: 2 30rem; column-gap: 1rem; }
main.flow section { break-inside: avoid; margin: 0 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; font-size: .82rem; }
th, td { padding: .2rem .5rem .2rem 0; vertical-align: top; }
td { border-top: 1px solid var(--line); } td.name { overflow-wrap: anywhere; } thead th { white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; overflow-wrap: normal; }
td.number + td, th.number + th { padding-left: 1rem; }
td.bar { width: 22%; min-width: 5rem; vertical-align: middle; }
td.bar span { display: block; height: .6rem; border-radius: 3px; background: var(--rest); overflow: hidden; }
td.bar span span { background: var(--bar); border-radius: 3px 0 0 3px; }
td.bar span span.full { background: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: 1rem; margin: 0 0 1rem; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .9rem; }
.tiles b { display: block; font-size: 1.3rem; font-weight: 600; } .tiles a { color: var(--bad); }
.notice { border-left: 4px solid var(--bad); background: var(--badback); border-radius: 4px; padding: .6rem .9rem;
  margin: 0 0 1rem; }
.facts { margin: 0 0 1rem; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } code { font-size: .92em; }
@media (max-width: 38rem) { thead th:empty, thead + tbody td.bar { display: none; } }
main.runbook { display: block; max-width: 60rem; } main.runbook section { margin: 0 0 1rem; }
pre { background: var(--paper); border-radius: 4px; padding: .5rem .7rem; margin: .4rem 0; overflow-x: auto; }
li { margin: .2rem 0; } ul, ol { margin: 0; padding-left: 1.4rem; }
p.more { margin: .5rem 0 0; color: var(--dim); font-size: .88rem; }
"""
_PAGE = Template(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>$title</title>'
    f"<style>{_STYLE}</style></head><body><header><h1>$title</h1>"
    f'<span class="dim">version {escape(VERSION)}</span><nav><a href="/">overview</a><a href="/status">status</a>'
    '<a href="$metrics">metrics</a><a href="/api/v1/snapshot">snapshot</a><a href="/-/ready">ready</a>'
    '<a href="/-/healthy">healthy</a></nav></header>$content</body></html>\n'
)
_links = {"metrics": "/metrics"}
_FULL = 0.9
#: A line break within a word is allowed only in longer texts.
_LONG_WORD = 12


@dataclass(frozen=True, slots=True)
class Html:
    """Text that is HTML already; everything else is escaped."""

    text: str


@dataclass(frozen=True, slots=True)
class Share:
    """A bar that shows `part` of `whole`. With `alarm`, a bar that is at least 90% full has another colour."""

    part: float | None
    whole: float
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """A count; None: not known. A plain integer in a cell is a size in bytes."""

    value: int | None


Cell = str | int | None | Html | Share | Count


def page(title: str, content: str) -> str:
    """A whole page. `content` is HTML."""
    return _PAGE.substitute(title=escape(title), content=content, metrics=escape(_links["metrics"]))


def link_metrics(path: str) -> None:
    """Have the pages that are made from now on link to the metrics at this path."""
    _links["metrics"] = path


def section(title: str, content: str, *, wide: bool = False) -> str:
    """A part of a page with a heading. `content` is HTML."""
    kind = ' class="wide"' if wide else ""
    return f"<section{kind}><h2>{escape(title)}</h2>{content}</section>"


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table. `>` at the start of a heading aligns its column right. If all headings are empty, none is shown."""
    right = [heading.startswith(">") for heading in headings]
    head = "".join(
        f'<th{_NUMBER if number else ""} scope="col">{escape(heading.lstrip(">"))}</th>'
        for heading, number in zip(headings, right, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if any(headings) else ''}<tbody>{body}</tbody></table>"


_NUMBER = ' class="number"'


def _cell(cell: Cell) -> str:
    if isinstance(cell, Html):
        return f"<td>{cell.text}</td>"
    if isinstance(cell, Share):
        return f'<td class="bar">{_bar(cell)}</td>'
    if isinstance(cell, Count) and cell.value is not None:
        return f"<td{_NUMBER}>{cell.value:,}</td>"
    if isinstance(cell, int):
        return f"<td{_NUMBER}>{human(cell)}</td>"
    if cell is None or isinstance(cell, Count):
        return f'<td{_NUMBER}><span class="dim">?</span></td>'
    return f'<td class="name">{shown(cell)}</td>' if len(cell) > _LONG_WORD else f"<td>{shown(cell)}</td>"


def _bar(share: Share) -> str:
    part = 0.0 if not share.part or not share.whole else min(1.0, share.part / share.whole)
    full = ' class="full"' if share.alarm and part >= _FULL else ""
    return f'<span><span{full} style="width:{100 * part:.1f}%"></span></span>'


def shown(text: str) -> str:
    """A name from the disk as HTML: escaped, shortened, without characters that change the direction of text."""
    return escape(printable(shorten(text)))


def said(text: str) -> str:
    """A sentence with names from the disk as HTML, in full: a command in it must not be cut."""
    return escape(printable(text))
