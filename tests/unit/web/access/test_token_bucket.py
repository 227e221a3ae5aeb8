from hypothesis import given
from hypothesis import strategies as st

from exporter.web.access.token_bucket import TokenBucket


@given(st.floats(0.01, 10), st.integers(0, 20), st.lists(st.floats(0, 30), max_size=60))
def test_no_more_is_let_through_than_time_and_burst_allow(interval: float, burst: int, pauses: list[float]) -> None:
    now = 0.0
    bucket = TokenBucket(interval, burst, lambda: now)
    let_through = 0
    for pause in pauses:
        now += pause
        let_through += bucket.take_token()
        assert let_through <= burst + now / interval + 1e-6
    assert burst or not let_through


def test_an_interval_of_zero_limits_nothing() -> None:
    bucket = TokenBucket(0, 0, lambda: 0.0)
    assert all(bucket.take_token() for _ in range(100))


def test_tokens_come_back_one_by_one() -> None:
    now = 0.0
    bucket = TokenBucket(1, 2, lambda: now)
    assert [bucket.take_token() for _ in range(3)] == [True, True, False]
    now = 1.0
    assert [bucket.take_token() for _ in range(2)] == [True, False]
    now = 100.0
    assert [bucket.take_token() for _ in range(3)] == [True, True, False]


@given(st.floats(0.01, 10), st.integers(1, 20), st.integers(1, 40))
def test_the_next_token_comes_when_it_was_said_to_come(interval: float, burst: int, taken: int) -> None:
    now = 0.0
    bucket = TokenBucket(interval, burst, lambda: now)
    for _ in range(taken):
        if not bucket.take_token():
            assert bucket.seconds_to_next > 0
            now += bucket.seconds_to_next + 1e-6
            assert bucket.take_token()
