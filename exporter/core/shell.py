"""Words of commands for bash. A name may come from a hostile disk, or from an exporter that is a stranger.

Names are in the form of `exporter.core.text.escape`; a command has the bytes that are on the disk.
"""

import re
import shlex

from exporter.core.text import unescape

_PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*")
#: One word as `quote` writes it: plain, in single quotes (a quote in it is `'"'"'`), or as bytes.
_WORD = r"(?:[\w@%+=:,./-]+|(?:'[^']*'(?:\"'\")?)+|\$'(?:[^'\\]|\\x[0-9a-f]{2})*')"
_WORDS = re.compile(rf"(?:(-- )?)({_WORD}(?: {_WORD})*)", re.ASCII)
_EACH = re.compile(_WORD, re.ASCII)
#: A NUL ends every argument, so no file has one in its name. A command must not name the part before it instead.
_NUL = "\ufffd"


def quote(value: str) -> str:
    r"""Quote a name for bash, so that it stands for exactly the bytes on disk, and for one word.

    A name with control characters or other unprintable bytes is written as `$'\xNN'`.
    """
    original = unescape(value).replace("\0", _NUL)
    if original.isprintable() and _PLAIN.fullmatch(original):
        return shlex.quote(original)
    raw = original.encode("utf-8", "surrogateescape") if _is_bytes(original) else original.encode("utf-8", "replace")
    shown = (chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\x{byte:02x}" for byte in raw)
    return f"$'{''.join(shown)}'"


def arguments(*values: str) -> str:
    """Quote names as the arguments of a command, behind `--` where one of them would be taken for an option."""
    end_of_options = "-- " if any(unescape(one).startswith("-") for one in values) else ""
    return end_of_options + " ".join(map(quote, values))


def split_arguments(text: str) -> list[str] | None:
    """The words, still quoted, of what `arguments` returned; None for any other text."""
    found = _WORDS.fullmatch(text)
    if found is None or not text.isprintable():
        return None
    words = _EACH.findall(found[2])
    is_option = any(one.lstrip("$'\"").startswith(("-", "\\x2d")) for one in words)
    return None if is_option and not found[1] else words


def _is_bytes(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
