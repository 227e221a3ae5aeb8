"""`diff`: what grew and what shrank between two times, by object."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.columns import ObjectList
from exporter.cli.commands.diff_ends import NEEDS, PART, DiffEnd, Key, keys_of
from exporter.cli.commands.filters import contains, equals
from exporter.cli.commands.habits import PLAIN, Chosen, Habits, choose
from exporter.cli.commands.tables import Answer, AtLeast, Cell, Lines, Table, total
from exporter.cli.commands.times import moment
from exporter.core.units import age, human, in_bytes

_ABSENT = "-"
_STATES = ("grew", "shrank", "came", "went", "unknown")


class Changed(Struct, frozen=True):
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


def diff(old: DiffEnd, new: DiffEnd, habits: Habits = PLAIN) -> Answer:
    """Compare two ends, the largest growth first; what is not known at one of them comes last."""
    rows = [_changed(key, old, new) for key in keys_of((old, new))]
    changed = [one for one in rows if one.says_something]
    changed.sort(key=lambda one: (one.change is None, -(one.change or 0), one.key))
    chosen = choose(CHANGES, new.document(), changed, habits)
    sums = [_summed(kind, old, new) for kind in NEEDS]
    data = {
        "old": old.taken,
        "new": new.taken,
        "changes": [_data(one) for one in chosen.rows],
        "totals": [
            {"kind": kind, "old": _exact(before), "new": _exact(after), "change": _difference(before, after)}
            for kind, before, after in sums
        ],
    }
    parts = [*_parts(old, new, chosen, changed=bool(changed)), _totals(sums), *_notes(rows, old, new)]
    return Answer(data, parts, failed=chosen.failed, listings=(chosen,))


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


def _parts(old: DiffEnd, new: DiffEnd, chosen: Chosen[Changed], *, changed: bool) -> Iterator[Table | Lines]:
    title = f"{old.root or 'the root'} from {_when(old)} to {_when(new)}"
    if old.taken is not None and new.taken is not None and new.taken >= old.taken:
        title += f", {age(new.taken - old.taken)}"
    if not changed:
        yield Lines(title, ["Nothing that is known grew or shrank."])
        return
    yield chosen.table(title)
    yield from chosen.said()


def _when(end: DiffEnd) -> str:
    return moment(end.taken) or "?"


def _totals(sums: Sequence[_Sum]) -> Table:
    plural = {PART: "parts (all of the root)", "build cache": "build cache"}
    rows: list[tuple[Cell, ...]] = [
        (plural.get(kind, f"{kind}s"), old, new, signed(_difference(old, new)))
        for kind, old, new in sums
        if (old, new) != (0, 0)
    ]
    return Table("In all", ("KIND", ">OLD", ">NEW", ">CHANGE"), rows)


def _notes(rows: Sequence[Changed], old: DiffEnd, new: DiffEnd) -> Iterator[Lines]:
    notes = []
    if unknown := sum(one.old is None and one.new is None for one in rows):
        notes.append(f"{unknown} {'is' if unknown == 1 else 'are'} not known at either time.")
    for end, when in ((old, "at the first time"), (new, "at the second time")):
        if end.unsure:
            notes.append(f"Not all were read {when}: {', '.join(sorted(end.unsure))}.")
    if old.root and new.root and old.root != new.root:
        notes.append(f"The roots have different paths: {old.root} and {new.root}.")
    if old.taken is not None and new.taken is not None and new.taken < old.taken:
        notes.append("The first is younger than the second: what grew is said to shrink.")
    if notes:
        yield Lines("", notes)


# -- the list --------------------------------------------------------------------------------------------------------


def _then(one: Changed) -> int | None:
    return None if one.state == "came" else one.old


def _now(one: Changed) -> int | None:
    return None if one.state == "went" else one.new


def _or_absent(state: str, size: Callable[[Changed], int | None]) -> Callable[[object, Changed], Cell]:
    """The cell of a size: `-` of an object that was not there."""
    return lambda _, one: _ABSENT if one.state == state else size(one)


#: The columns of the list, and what --quiet prints.
CHANGES: ObjectList[Changed] = ObjectList(
    "change",
    (
        Column(
            "change", "CHANGE", Kind.SIZE, lambda _, one: one.change, cell=lambda _, one: signed(one.change), keep=True
        ),
        Column("kind", "KIND", Kind.WORD, lambda _, one: one.key.kind, 85),
        Column("old", "OLD", Kind.SIZE, lambda _, one: _then(one), 92, cell=_or_absent("came", _then)),
        Column("new", "NEW", Kind.SIZE, lambda _, one: _now(one), 92, cell=_or_absent("went", _now)),
        Column("name", "NAME", Kind.TEXT, lambda _, one: one.name, 80, keep=True),
        Column("state", "STATE", Kind.WORD, lambda _, one: one.state, shown=False),
        Column("id", "ID", Kind.TEXT, lambda _, one: one.key.id.strip(), shown=False),
    ),
    names=lambda _, one: (one.name,),
    ids=lambda _, one: (one.key.id.strip(),),
    key=lambda _, one: one.name,
    whole=lambda _, one: one.key.id.strip(),
    filters={
        "kind": equals(lambda _, one: (one.key.kind,), NEEDS),
        "state": equals(lambda _, one: (one.state,), _STATES),
        "name": contains(lambda _, one: (one.name,)),
    },
)
