"""What has grown in the last hour: a ring of totals, of which the oldest is replaced by the newest.

It is kept in the scanning process, and begins anew with it. Its memory is bounded: thirteen numbers for each container
and volume, and as many for each kind and each entry of the roots.
"""

from collections import deque
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from exporter.core.text import label
from exporter.expose.growing import Grown, Growth
from exporter.expose.layer_users import container_name
from exporter.expose.totals import (
    ABSENT,
    UNKNOWN,
    KindTotal,
    Slots,
    Totals,
    container_sizes,
    key_of,
    kinds,
    parts,
    totals,
    volume_sizes,
)
from exporter.figures.figures import Figures

#: How often totals are noted, and how many of them are kept: an hour and one pause.
PAUSE_SECONDS = 300.0
_KEPT = 13
_HOUR = 3600.0
#: How many objects, and parts of the roots, are shown.
_SHOWN = 10
#: So many names of objects that are gone may be left over before they are forgotten.
_LEFT_OVER = 256


class TotalsRing:
    """The totals of the last hour. All times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._due = 0.0
        self._kept: deque[tuple[float, Totals]] = deque(maxlen=_KEPT)
        self._begun: float | None = None
        self._containers, self._volumes = Slots(), Slots()

    def is_due(self, now: float) -> bool:
        """Whether it is time to note totals."""
        return now >= self._due

    def note(self, now: float, figures: Figures) -> None:
        """Note the totals of the snapshot that is served now. Where nothing has changed, they are those before."""
        self._due = now + PAUSE_SECONDS  # first: where this fails, it is not tried again at once
        last = self._kept[-1][1] if self._kept else None
        if last is None or last.token is not figures.token:
            last = totals(figures, self._containers, self._volumes)
        self._kept.append((now, last))
        self._begun = now if self._begun is None else self._begun
        self._forget(figures)

    def _forget(self, figures: Figures) -> None:
        """Forget names of objects that none of the totals has any more."""
        inventory = figures.snapshot.inventory
        if len(self._containers) + len(self._volumes) <= (
            2 * (len(inventory.containers) + len(inventory.volumes)) + _LEFT_OVER
        ):
            return
        different = list({id(one): one for _, one in self._kept}.values())
        containers = self._containers.forget(one.containers for one in different)
        volumes = self._volumes.forget(one.volumes for one in different)
        new = {
            id(old): replace(old, containers=sizes, volumes=others)
            for old, sizes, others in zip(different, containers, volumes, strict=True)
        }
        self._kept = deque(((at, new[id(one)]) for at, one in self._kept), maxlen=_KEPT)

    def growth(self, now: float, figures: Figures) -> Growth:
        """What has grown since an hour ago, or since the first totals where these are younger."""
        if not self._kept or self._begun is None:
            return Growth()
        at, then = next((one for one in reversed(self._kept) if now - one[0] >= _HOUR), self._kept[0])
        objects = [*self._of_containers(figures, then), *self._of_volumes(figures, then)]
        return Growth(
            seconds=now - at,
            begun=now - self._begun,
            kinds=tuple(_kinds(kinds(figures), then.kinds)),
            parts=_most(_parts(figures, then)),
            objects=_most(objects),
        )

    def _of_containers(self, figures: Figures, then: Totals) -> Iterator[Grown]:
        now = container_sizes(figures)
        for one in figures.snapshot.inventory.containers:
            key = key_of(one)
            before = _before(self._containers.size(then.containers, key), whole=then.containers_whole)
            yield Grown(container_name(one), before, now[key], kind="container")

    def _of_volumes(self, figures: Figures, then: Totals) -> Iterator[Grown]:
        for name, now in volume_sizes(figures).items():
            before = _before(self._volumes.size(then.volumes, name), whole=then.volumes_whole)
            yield Grown(name, before, now, kind="volume")


def _before(size: int, *, whole: bool) -> int | None:
    """What an object held then. One that was not there held nothing, unless not all that were there are known."""
    if size == ABSENT:
        return 0 if whole else None
    return None if size == UNKNOWN else size


def _kinds(now: Mapping[str, KindTotal], then: Mapping[str, KindTotal]) -> Iterator[Grown]:
    for name, total in now.items():
        before = then.get(name, KindTotal(None))
        same = before.which == total.which
        yield Grown(name, before.size if same else None, total.size, parts=total.unknown)


def _parts(figures: Figures, then: Totals) -> Iterator[Grown]:
    for name, now in parts(figures).items():
        yield Grown(name, then.parts.get(name, 0 if then.parts_whole else None), now)


def _most(grown: Iterator[Grown] | list[Grown]) -> tuple[Grown, ...]:
    """Those that grew the most. Only these get names that can be shown."""
    known = [(one.by, one) for one in grown]
    most = sorted((one for one in known if one[0] is not None and one[0] > 0), key=_growth, reverse=True)[:_SHOWN]
    return tuple(replace(one, name=label(one.name)) for _, one in most)


def _growth(one: tuple[int | None, Grown]) -> int:
    return one[0] or 0
