"""Text that an output can show: ASCII alone where it does not take UTF-8. Nothing fails, and nothing is garbled."""

import codecs
from typing import TextIO

from exporter.core.log import printable

ELLIPSIS = "…"
#: What stands for the characters that this program writes itself.
_INSTEAD = str.maketrans({"…": "...", "≥": ">=", "≤": "<=", "└": "`", "├": "|", "─": "-", "│": "|", "█": "#"})


def takes_all(output: TextIO) -> bool:
    """Whether an output takes all characters."""
    try:
        return codecs.lookup(output.encoding or "utf-8").name in ("utf-8", "utf-16", "utf-32")
    except LookupError:
        return False


def shown(text: str, *, whole: bool) -> str:
    """A text in one line that cannot command a terminal; without `whole`, in ASCII: other characters are escaped."""
    safe = printable(text)
    return safe if whole or safe.isascii() else ascii_of(safe)


def ascii_of(text: str) -> str:
    """A text in ASCII: what this program writes itself is replaced, all other characters are escaped."""
    return text.translate(_INSTEAD).encode("ascii", "backslashreplace").decode()


def make_safe(output: TextIO) -> None:
    """Have an output that does not take all characters write ASCII alone, whatever is printed to it."""
    reconfigure = getattr(output, "reconfigure", None)
    if not takes_all(output) and reconfigure is not None:
        codecs.register_error(_HANDLER, _replaced)
        reconfigure(encoding="ascii", errors=_HANDLER)


_HANDLER = "docker_storage_ascii"


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError), "an output only encodes"
    return ascii_of(error.object[error.start : error.end]), error.end
