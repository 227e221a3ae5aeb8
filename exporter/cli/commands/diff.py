"""`diff`: what grew and what shrank between two times, by object."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.cli.commands.columns import ColumnKind, Shape
from exporter.cli.commands.diff_ends import NEEDS, PART, DiffEnd, Key, keys_of
from exporter.cli.commands.tables import Answer, AtLeast, Cell, Lines, Table, total
from exporter.cli.commands.times import moment
from exporter.core.units import age, human, in_bytes

_CHANGE = Shape("CHANGE", ColumnKind.SIZE, keep=True)
_NAME = Shape("NAME", ColumnKind.TEXT, 80, keep=True)
_ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Changed:
    """An object at both ends: its sizes in bytes, 0 where it is not there, None where that is not known."""

    key: Key
    name: str
    old: int | None
    new: int | None
    state: str

    @property
    def change(self) -> int | None:
        """By how much it grew."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def says_something(self) -> bool:
        """Whether it differs, or may."""
        half_known = (self.old is None) != (self.new is None)
        return bool(self.change) or half_known or self.state in ("came", "went")


def diff(old: DiffEnd, new: DiffEnd, limit: int | None = None) -> Answer:
    """Compare two ends, the largest growth first; what is not known at one of them comes last."""
    rows = [_changed(key, old, new) for key in keys_of((old, new))]
    changed = [one for one in rows if one.says_something]
    changed.sort(key=lambda one: (one.change is None, -(one.change or 0), one.key))
    shown = changed if limit is None else changed[:limit]
    sums = [_summed(kind, old, new) for kind in NEEDS]
    data = {
        "old": old.taken,
        "new": new.taken,
        "changes": [_data(one) for one in shown],
        "totals": [
            {"kind": kind, "old": _exact(before), "new": _exact(after), "change": _difference(before, after)}
            for kind, before, after in sums
        ],
    }
    return Answer(data, [*_parts(old, new, shown, len(changed)), _totals(sums), *_notes(rows, old, new)])


def _changed(key: Key, old: DiffEnd, new: DiffEnd) -> Changed:
    name = new.names.get(key) or old.names[key]
    before, after = (_size(key, end) for end in (old, new))
    if old.has(key) is False:
        state = "came"
    elif new.has(key) is False:
        state = "went"
    elif before is None or after is None:
        state = "unknown"
    else:
        state = "grew" if after > before else "shrank" if after < before else "same"
    return Changed(key, name, before, after, state)


def _size(key: Key, end: DiffEnd) -> int | None:
    return 0 if end.has(key) is False else end.sizes.get(key)


def _data(one: Changed) -> dict[str, Any]:
    old = None if one.state == "came" else one.old
    new = None if one.state == "went" else one.new
    row = {"kind": one.key.kind, "id": one.key.id.strip(), "name": one.name, "state": one.state}
    return {**row, "old": old, "new": new, "change": one.change}


# -- sums ------------------------------------------------------------------------------------------------------------

_Sum = tuple[str, int | None, int | None]


def _summed(kind: str, old: DiffEnd, new: DiffEnd) -> _Sum:
    return kind, _sum(kind, old), _sum(kind, new)


def _sum(kind: str, end: DiffEnd) -> int | None:
    """The sum of a kind: `AtLeast` where one is not known, None where nothing is."""
    sizes = [size for key, size in end.sizes.items() if key.kind == kind]
    return total([*sizes, *((None,) if kind in end.unsure else ())])


def _exact(size: int | None) -> int | None:
    return None if isinstance(size, AtLeast) else size


def _difference(old: int | None, new: int | None) -> int | None:
    before, after = _exact(old), _exact(new)
    return None if before is None or after is None else after - before


# -- for people ------------------------------------------------------------------------------------------------------


def signed(change: int | None) -> str | None:
    """A growth for people; None for one that is not known."""
    if change is None:
        return None
    return f"{change:+}" if in_bytes() else f"{'-' if change < 0 else '+'}{human(abs(change))}"


def _parts(old: DiffEnd, new: DiffEnd, rows: Sequence[Changed], count: int) -> Iterator[Table | Lines]:
    title = f"{old.root or 'the root'} from {_when(old)} to {_when(new)}"
    if old.taken is not None and new.taken is not None and new.taken >= old.taken:
        title += f", {age(new.taken - old.taken)}"
    if not count:
        yield Lines(title, ["Nothing that is known grew or shrank."])
        return
    lines: list[tuple[Cell, ...]] = [(signed(one.change), one.key.kind, *_cells(one), one.name) for one in rows]
    yield Table(title, (_CHANGE, "KIND", ">OLD", ">NEW", _NAME), lines)
    if count > len(rows):
        yield Lines("", [f"{count - len(rows)} more changed."])


def _when(end: DiffEnd) -> str:
    return moment(end.taken) or "?"


def _cells(one: Changed) -> tuple[Cell, Cell]:
    return (_ABSENT if one.state == "came" else one.old, _ABSENT if one.state == "went" else one.new)


def _totals(sums: Sequence[_Sum]) -> Table:
    plural = {PART: "parts (all of the root)", "build cache": "build cache"}
    rows: list[tuple[Cell, ...]] = [
        (plural.get(kind, f"{kind}s"), old, new, signed(_difference(old, new)))
        for kind, old, new in sums
        if (old, new) != (0, 0)
    ]
    return Table("In all", ("KIND", ">OLD", ">NEW", _CHANGE), rows)


def _notes(rows: Sequence[Changed], old: DiffEnd, new: DiffEnd) -> Iterator[Lines]:
    notes = []
    if unknown := sum(one.old is None and one.new is None for one in rows):
        notes.append(f"{unknown} are not known at either time.")
    for end, when in ((old, "at the first time"), (new, "at the second time")):
        if end.unsure:
            notes.append(f"Not all were read {when}: {', '.join(sorted(end.unsure))}.")
    if old.root and new.root and old.root != new.root:
        notes.append(f"The roots have different paths: {old.root} and {new.root}.")
    if old.taken is not None and new.taken is not None and new.taken < old.taken:
        notes.append("The first is younger than the second: what grew is said to shrink.")
    if notes:
        yield Lines("", notes)
