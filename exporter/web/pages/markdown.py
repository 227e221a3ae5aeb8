"""Turns the Markdown of the runbooks into HTML: headings, paragraphs, lists, tables, code and links, no more."""

import re
from collections.abc import Callable, Iterator, Sequence

from exporter.web.pages.escaping import escape

#: `code`, [text](address), *emphasis*, or the name of another runbook.
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`|\[(?P<text>[^\]]+)\]\((?P<address>[^)]+)\)|\*(?P<strong>[^*]+)\*"
    r"|(?P<name>\bDocker(?:Storage|Container)[A-Z][A-Za-z]+)"
)
_ITEM = re.compile(r"(?:-|\d+\.) (.*)")

#: The address of a runbook, None where there is none of this name.
Link = Callable[[str], str | None]


def html_of(lines: Sequence[str], link: Link) -> str:
    """The HTML of blocks of Markdown; everything in them is escaped."""
    return "".join(_blocks(list(lines), link))


def _blocks(lines: list[str], link: Link) -> Iterator[str]:
    while lines:
        line = lines[0]
        if line.startswith("```"):
            yield f"<pre><code>{escape(_fenced(lines))}</code></pre>"
        elif line.startswith("|"):
            yield _table(_taken(lines, lambda one: one.startswith("|")), link)
        elif _ITEM.match(line):
            yield _list(lines, link)
        elif not line.strip():
            lines.pop(0)
        else:
            own = _taken(
                lines, lambda one: bool(one.strip()) and not one.startswith(("```", "|")) and not _ITEM.match(one)
            )
            yield f"<p>{_inline(' '.join(own), link)}</p>"


def _is_text(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("```", "|")) and not _ITEM.match(line)


def _taken(lines: list[str], fits: Callable[[str], bool]) -> list[str]:
    """Remove the lines at the beginning that fit, and return them."""
    count = next((index for index, line in enumerate(lines) if not fits(line)), len(lines))
    own = lines[:count]
    del lines[:count]
    return own


def _fenced(lines: list[str]) -> str:
    lines.pop(0)
    own = _taken(lines, lambda one: not one.startswith("```"))
    del lines[:1]
    return "\n".join(own)


def _list(lines: list[str], link: Link) -> str:
    """A list; what is indented below an item belongs to it."""
    tag = "ul" if lines[0].startswith("-") else "ol"
    items = []
    while lines and (found := _ITEM.match(lines[0])):
        width = len(lines[0]) - len(found[1])
        lines.pop(0)
        rest = _taken(lines, lambda one: one.startswith(" ") or not one.strip())
        body = [line[min(width, len(line) - len(line.lstrip())) :] for line in rest]
        first = [found[1], *_taken(body, lambda one: bool(one.strip()) and not one.startswith("```"))]
        items.append(f"<li>{_inline(' '.join(first), link)}{html_of(body, link)}</li>")
    return f"<{tag}>{''.join(items)}</{tag}>"


def _table(lines: Sequence[str], link: Link) -> str:
    rows = [[_inline(cell.strip(), link) for cell in line.strip("|").split("|")] for line in lines]
    head, *body = [row for row in rows if set("".join(row)) - set("-: ")]
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    cells = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
        for first, *others in body
    )
    return f"<table><caption>{', '.join(head)}</caption><thead><tr>{top}</tr></thead><tbody>{cells}</tbody></table>"


def _inline(text: str, link: Link) -> str:
    made: list[str] = []
    at = 0
    for found in _INLINE.finditer(text):
        made += escape(text[at : found.start()]), _marked(found, link)
        at = found.end()
    return "".join((*made, escape(text[at:])))


def _marked(found: re.Match[str], link: Link) -> str:
    if found["code"]:
        return f"<code>{escape(found['code'])}</code>"
    if found["strong"]:
        return f"<em>{escape(found['strong'])}</em>"
    text = found["text"] or found["name"]
    # A link to another page of the documentation leads nowhere from here.
    address = link(found["name"] or found["address"])
    return f'<a href="{escape(address)}">{escape(text)}</a>' if address else escape(text)
