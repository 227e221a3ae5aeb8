"""A request and a response, as the pages and the access checks see them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus

from msgspec import Struct
from msgspec.structs import replace

_TEXT = "text/plain; charset=utf-8"
#: Headers of every response that does not have its own. Each is about the host as it is now, so no cache may keep it.
#: Texts have names from the disk: no browser may take them for HTML, nor show them inside of another site.
_ALWAYS = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
)


class Request(Struct, frozen=True):
    """A request without its body: no route of the exporter has a use for one.

    `path` is the target up to the first `?`, with percent escapes decoded. `headers` have names in lower case; of
    several with one name the first counts, but for lists, which are joined. `host` is that of the target where it
    names one. `client` is the IP address of the peer. `query` is what follows the `?`, as it was sent.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    client: str = ""
    query: str = ""


class Response(Struct, frozen=True):
    """A response with a body of `length` bytes: `parts`, which are shared with other responses and never copied whole.

    `headers` are complete, but for those that HTTP itself adds (`connection`). `making`: how many bytes are held for
    making the parts until the last is made.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    parts: Iterable[bytes]
    length: int
    making: int = 0

    @classmethod
    def of_parts(  # noqa: PLR0913 - one for each property
        cls,
        parts: Iterable[bytes],
        length: int,
        content_type: str,
        *,
        status: int = HTTPStatus.OK,
        headers: Sequence[tuple[str, str]] = (),
        making: int = 0,
    ) -> "Response":
        """Make a response with a body that is produced in parts while it is sent."""
        own = (("content-length", str(length)), ("content-type", content_type))
        given = {name for name, _ in headers}
        always = (one for one in _ALWAYS if one[0] not in given)
        return cls(status, (*headers, *always, *own), parts, length, making)

    def with_headers(self, headers: Sequence[tuple[str, str]]) -> "Response":
        """The same response with these headers instead of its own of the same names."""
        new = dict(headers)
        kept = [(name, new.pop(name, value)) for name, value in self.headers]
        return replace(self, headers=(*kept, *new.items()))


Handler = Callable[[Request], Awaitable[Response]]


def text(
    content: str, status: int = HTTPStatus.OK, *, content_type: str = _TEXT, headers: Sequence[tuple[str, str]] = ()
) -> Response:
    """Make a response of one text."""
    raw = content.encode()
    return Response.of_parts((raw,), len(raw), content_type, status=status, headers=headers)
