"""What evidence of the engine's version says together, and about a version that something came with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.engine_version import ANONYMOUS_ONLY, PRUNES, EngineVersion, Version, combined

_VERSIONS = st.tuples(st.integers(1, 29), st.integers(0, 13))


@pytest.mark.parametrize(
    ("evidence", "prunes", "anonymous"),
    [
        ([EngineVersion()], None, None),
        ([EngineVersion((23, 0))], True, True),
        ([EngineVersion((1, 13), (23, 0))], True, False),
        ([EngineVersion((1, 10)), EngineVersion((1, 13))], True, None),
        ([EngineVersion(None, (1, 10))], False, False),
        ([EngineVersion((1, 10), (1, 13))], False, False),
        # Replaced by an older one: what is left of the newer one says nothing any more.
        ([EngineVersion((23, 0)), EngineVersion((1, 13), (23, 0))], True, None),
        ([EngineVersion((23, 0)), *[EngineVersion((1, 13), (23, 0))] * 2], True, None),
        ([EngineVersion((1, 13)), EngineVersion(None, (1, 10))], None, None),
    ],
)
def test_what_is_known_follows_from_all_evidence(
    evidence: list[EngineVersion], prunes: bool | None, anonymous: bool | None
) -> None:
    for order in (evidence, evidence[::-1]):
        found = combined(order)
        assert (found.has(PRUNES), found.has(ANONYMOUS_ONLY)) == (prunes, anonymous)


@given(st.lists(st.tuples(_VERSIONS, _VERSIONS, st.booleans(), st.booleans())), _VERSIONS, _VERSIONS)
def test_evidence_that_is_true_is_never_contradicted(
    limits: list[tuple[Version, Version, bool, bool]], real: Version, asked: Version
) -> None:
    evidence = [
        EngineVersion(low if with_low and low <= real else None, high if with_high and high > real else None)
        for low, high, with_low, with_high in limits
    ]
    assert combined(evidence).has(asked) in (None, real >= asked)
