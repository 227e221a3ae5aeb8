"""What is served after many changes is what a fresh process serves of the same snapshot."""

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from exporter.config.limits import Shown
from exporter.core.model import Counters, Snapshot
from exporter.expose.publication import Publisher
from exporter.expose.snapshot_api.pieces import ending
from tests.support.histories import History
from tests.support.served import served

_NAMED = Shown(
    off=("build_cache",), include=(("images", "[13579]"), ("volumes", "[2468]")), exclude=(("containers", "[1-5]"),)
)
_SHOWN = (Shown(), Shown(intermediate=True, each_layer=True), Shown(most=(("images", 20), ("containers", 30))), _NAMED)


def _lines(snapshot: Snapshot, publisher: Publisher) -> list[str]:
    text, summary, document = served(snapshot, Counters(), publisher)
    return [*text.splitlines(), repr(summary), *document.finish(ending(1.0, [])).decode().split("},{")]


@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.integers(0, 2**32), st.sampled_from(_SHOWN))
def test_after_any_changes_it_is_as_if_it_began_there(seed: int, shown: Shown) -> None:
    going_on = Publisher(shown)
    for one in History(seed).snapshots(25):
        assert _lines(one, going_on) == _lines(one, Publisher(shown))
