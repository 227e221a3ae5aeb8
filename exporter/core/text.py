"""Turns names from the disk into label values: valid UTF-8, at most 200 characters, different for different names."""

import re
from collections.abc import Iterable, Iterator, Sequence

from exporter.core.hashes import sha256

MAX_LENGTH = 200
SHORT = 12
_DIGEST = 12
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4}))")


def label(name: str) -> str:
    """Turn a name into a label value: escaped, and shortened if it is too long."""
    if name.isascii() and "\\" not in name and len(name) <= MAX_LENGTH:
        return name
    return shorten(escape(name))


def shorten(value: str) -> str:
    """Cut a text that is too long; the result ends in a digest of the whole text."""
    if len(value) <= MAX_LENGTH:
        return value
    digest = sha256(value.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGEST]
    return f"{value[: MAX_LENGTH - _DIGEST - 1]}~{digest}"


def escape(name: str) -> str:
    r"""Turn a name into valid UTF-8.

    Bytes that are not UTF-8 become `\xNN`; so that no two names become one, a name that holds such bytes or
    such an escape has its backslashes doubled.
    """
    return "".join(map(_escape, name)) if not _is_text(name) or _looks_escaped(name) else name


def unescape(value: str) -> str:
    """Return the name that `escape` was given."""
    return _ESCAPE.sub(_original, value) if _looks_escaped(value) else value


def _looks_escaped(name: str) -> bool:
    return "\\x" in name or "\\u" in name


def _original(found: re.Match[str]) -> str:
    if found[1]:
        return chr(0xDC00 + int(found[1], 16))
    return chr(int(found[2], 16)) if found[2] else "\\"


def _escape(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode of a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if 0xD800 <= code <= 0xDFFF else character


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class ShortIds(dict[str, str]):
    """The ids of which the first 12 digits are not unique, each with as much of it as it takes. Others have these."""

    def __missing__(self, one: str) -> str:
        """The beginning of an id."""
        return one[:SHORT]


def short_ids(ids: Iterable[str]) -> ShortIds:
    """Shorten ids to their first 12 digits, or to more where 12 are not unique."""
    short, different = ShortIds(), ids if isinstance(ids, set) else set(ids)
    if len({one[:SHORT] for one in different}) == len(different):
        return short
    alike: dict[str, list[str]] = {}
    for one in different:
        alike.setdefault(one[:SHORT], []).append(one)
    for several in alike.values():
        if len(several) > 1:
            short.update(_told_apart(sorted(several)))
    return short


def _told_apart(ordered: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each of these ids with as much of it as its neighbours do not have."""
    for index, one in enumerate(ordered):
        neighbours = (*ordered[max(0, index - 1) : index], *ordered[index + 1 : index + 2])
        yield one, one[: max(SHORT, *(_common(one, other) + 1 for other in neighbours))]


def _common(one: str, other: str) -> int:
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
