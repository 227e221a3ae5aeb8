from itertools import pairwise

from exporter.scan.pace import Pace


def test_pauses_grow_with_the_scan_and_with_what_a_publication_costs() -> None:
    pace, published, now = Pace(), [], 100.25
    while now < 400.0:
        if pace.is_due(now):
            published.append(now)
            pace.note(100.0, now, 0.05)
        now += 0.25
    pauses = [later - earlier for earlier, later in pairwise(published)]
    assert published[0] == 100.25
    assert pauses[:5] == [1.0, 1.25, 2.5, 5.0, 10.0]
    assert set(pauses[6:]) == {30.0}
    pace.note(100.0, 400.0, 20.0)
    assert not pace.is_due(599.0)
    assert pace.is_due(600.0)
