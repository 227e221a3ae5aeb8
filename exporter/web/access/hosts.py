"""The host names by which clients may ask for this server: protection from DNS rebinding.

A page of another site can make its own name resolve to this server's address. A browser then sends requests to this
server and lets the page read the responses, because the name is the page's own. The Host header says which it is.
"""

from collections.abc import Sequence

from msgspec import Struct

from exporter.config.settings import SettingsError
from exporter.web.protocol.target import split_authority


class AllowedHosts(Struct, frozen=True):
    """A list of hosts with ports; None stands for every port. An empty list allows every request."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def parse(cls, values: Sequence[str]) -> "AllowedHosts":
        """Read values of --web.allowed-hosts, each one or more HOST or HOST:PORT; raises SettingsError."""
        names = [one.strip() for value in values for one in value.split(",")]
        return cls(frozenset(_host(one) for one in names if one))

    def allow(self, host: str | None) -> bool:
        """Whether a request with this Host header is allowed. One without the header is not, if there is a list."""
        if not self.hosts:
            return True
        found = split_authority(host or "")
        return found is not None and (found in self.hosts or (found[0], None) in self.hosts)


def _host(name: str) -> tuple[str, int | None]:
    bare = f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name
    found = split_authority(bare)
    if found is None:
        raise SettingsError(f"--web.allowed-hosts: not HOST or HOST:PORT: {name!r}")
    return found
