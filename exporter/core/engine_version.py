"""Between which versions of Docker an engine is, as far as the files of a data root tell."""

from collections.abc import Iterable

from msgspec import Struct

Version = tuple[int, int]

#: From this version on the engine has `docker ... prune`.
PRUNES: Version = (1, 13)
#: From this version on `docker volume prune` takes anonymous volumes only, and `--all` takes all.
ANONYMOUS_ONLY: Version = (23, 0)
#: From this version on there is `docker builder prune`.
BUILDER: Version = (18, 9)
#: From this version on BuildKit keeps a history of builds (BuildKit 0.11).
HISTORY: Version = (23, 0)
#: From this version on there is `docker volume`.
VOLUMES: Version = (1, 9)


class EngineVersion(Struct, frozen=True):
    """The engine is of version `since` or newer, and older than `before`. None: there is no evidence for a limit."""

    since: Version | None = None
    before: Version | None = None

    def has(self, version: Version) -> bool | None:
        """Whether the engine is of this version or newer; None where that cannot be told."""
        if self.since is not None and self.since >= version:
            return True
        return False if self.before is not None and self.before <= version else None


#: Nothing is known.
NO_EVIDENCE = EngineVersion()


def combined(evidence: Iterable[EngineVersion]) -> EngineVersion:
    """What all evidence together says.

    Where it contradicts itself, only the limits below that stay: an engine can be replaced by an older one, which
    leaves files of the newer one behind.
    """
    found = tuple(evidence)
    lower = [one.since for one in found if one.since is not None]
    before = min((one.before for one in found if one.before is not None), default=None)
    if before is None or all(since < before for since in lower):
        return EngineVersion(max(lower, default=None), before)
    return EngineVersion(max((since for since in lower if since < before), default=None))
