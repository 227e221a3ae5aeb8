import gc

from exporter.core.memory import settle


class _Kept:
    """Something that is here to stay, until it is not."""

    ended = 0

    def __del__(self) -> None:
        _Kept.ended += 1


def test_what_has_settled_is_not_looked_through_and_ends_all_the_same() -> None:
    kept = [_Kept()]
    try:
        settle()
        assert gc.get_freeze_count()
        assert not any(one is kept for one in gc.get_objects())
        kept.clear()
        assert _Kept.ended == 1
    finally:
        gc.unfreeze()
