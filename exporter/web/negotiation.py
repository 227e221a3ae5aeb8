"""Chooses the form of a response by what the client accepts: the exposition format, and its compression.

A client that accepts none of the forms gets the default, as from other exporters: what a header says never makes a
scrape fail. The content type is always true of the bytes, whatever version or escaping was asked for: all names of
this exporter are valid in both formats without being escaped.
"""

import re
from collections.abc import Callable
from typing import Literal

from exporter.expose.metrics.render import Format
from exporter.web.protocol.accept import Accepted, accepted

#: What is served. The versions are those of the two formats that `expose.metrics.render` writes.
CONTENT_TYPES: dict[Format, str] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
_TEXT = ("text/plain", "text/*", "*/*")
_OPENMETRICS = "application/openmetrics-text"
#: Version 1.0.0 or a later one. A client that knows a later one is given 1.0.0, which it has to know as well.
_AT_LEAST_ONE = re.compile(r"0*[1-9][0-9]*(\.[0-9]+)*")


def exposition_format(accept: str) -> Format:
    """The format that a client prefers: that of the highest quality, the first one of several. Never raises."""
    best, quality = "text", 0.0
    for one in accepted(accept):
        found = _format(one)
        if found and one.quality > quality:
            best, quality = found, one.quality
    return "openmetrics" if best == "openmetrics" else "text"


def _format(one: Accepted) -> Format | None:
    if one.name in _TEXT:
        return "text"
    version = one.parameters.get("version", "")
    return "openmetrics" if one.name == _OPENMETRICS and (not version or _AT_LEAST_ONE.fullmatch(version)) else None


def preferred_coding(accept_encoding: str, zstd: Callable[[], object]) -> Literal["gzip", "zstd", ""]:
    """The coding of the highest quality, the first one of several; "" for none. Never raises.

    `zstd` says whether there is such a compressor. It is asked only where a client names zstd.
    """
    qualities = {one.name: one.quality for one in accepted(accept_encoding)}
    gzip = qualities.get("gzip", qualities.get("*", 0.0))
    quality = qualities.get("zstd", 0.0)
    if quality > gzip or (quality == gzip > 0 and [*qualities].index("zstd") < [*qualities, "gzip"].index("gzip")):
        return "zstd" if zstd() else "gzip" if gzip else ""
    return "gzip" if gzip else ""
