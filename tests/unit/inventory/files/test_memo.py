from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.inventory.files.memo import Memo


class _Reads:
    def __init__(self) -> None:
        self.count = 0
        self.memo = Memo()

    def scan(self, *dirty: str, keep: bool = True, ask: tuple[str, ...] = ("a", "b")) -> dict[str, int]:
        self.memo.begin(Dirty(frozenset((name,) for name in dirty)))
        values = {name: self.memo.get("kind", (name,), lambda: (self._read(), keep), also=(("both",),)) for name in ask}
        self.memo.end()
        return values

    def _read(self) -> int:
        self.count += 1
        return self.count


def test_only_what_is_dirty_is_read_again() -> None:
    reads = _Reads()
    assert reads.scan() == {"a": 1, "b": 2}
    assert reads.scan() == {"a": 1, "b": 2}
    assert reads.scan("a", "stranger") == {"a": 3, "b": 2}
    assert reads.scan("both") == {"a": 4, "b": 5}


def test_of_a_store_that_is_another_one_every_entry_is_read_again() -> None:
    reads = _Reads()
    entries: list[Tree] = [("containers", "a"), ("containers", "b"), ("image", "overlay2", "repositories.json")]
    for dirty, expected in ((("stranger",), [1, 2, 3]), (("containers",), [4, 5, 3]), (("image",), [4, 5, 6])):
        reads.memo.begin(Dirty(frozenset({dirty})))
        assert [reads.memo.get("kind", entry, lambda: (reads._read(), True)) for entry in entries] == expected
        reads.memo.end()


def test_everything_is_read_again() -> None:
    reads = _Reads()
    reads.scan()
    reads.memo.begin(Dirty(everything=True))
    assert reads.memo.get("kind", ("a",), lambda: (reads._read(), True)) == 3


def test_what_had_a_problem_is_read_again() -> None:
    reads = _Reads()
    reads.scan(keep=False)
    assert reads.scan() == {"a": 3, "b": 4}


def test_what_nobody_asks_for_is_forgotten() -> None:
    reads = _Reads()
    reads.scan()
    reads.scan(ask=("b",))
    assert reads.scan() == {"a": 3, "b": 2}


def test_a_dirty_entry_covers_what_lies_in_it() -> None:
    dirty = Dirty(frozenset({("overlay2", "x")}))
    assert dirty.covers(("overlay2", "x"))
    assert dirty.covers(("overlay2", "x", "diff"))
    assert not dirty.covers(("overlay2",))
    assert not dirty.covers(("overlay2", "y"))
    assert Dirty(everything=True).covers(("any",))
