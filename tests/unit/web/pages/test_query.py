import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.wanted import CHOICES, ORDERS, ListName, Wanted, by_default
from exporter.web.pages.query import QueryError, address, wanted_by

_WANTED = st.sampled_from(list(ListName)).flatmap(
    lambda name: st.builds(
        Wanted,
        st.just(name),
        st.sampled_from(ORDERS[name]),
        st.booleans(),
        st.sampled_from(("", *CHOICES[name])),
        st.integers(1, 999_999),
    )
)


@given(_WANTED)
def test_the_address_of_a_page_asks_for_that_page(wanted: Wanted) -> None:
    path, _, query = address(wanted).partition("?")
    assert path == f"/{wanted.list}"
    assert wanted_by(wanted.list, query) == wanted


@pytest.mark.parametrize("name", ListName)
def test_what_is_not_said_is_as_usual(name: ListName) -> None:
    assert wanted_by(name, "") == by_default(name)
    assert wanted_by(name, "utm_source=x&refresh=30") == by_default(name), "parameters of other names are ignored"
    assert address(by_default(name)) == f"/{name}"


def test_texts_are_sorted_from_a_on_and_numbers_from_the_largest() -> None:
    assert wanted_by(ListName.CONTAINERS, "sort=name").descending is False
    assert wanted_by(ListName.CONTAINERS, "sort=log").descending is True
    assert wanted_by(ListName.CONTAINERS, "sort=log&order=asc").descending is False


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sort=color", "there is no sort 'color'; known are: total, writable, log, name, image, state, created"),
        ("sort=", "there is no sort ''"),
        ("order=up", "there is no order 'up'; known are: asc, desc"),
        ("only=dangling", "there is no only 'dangling'; known are: running, stopped, stale, unlimited-log, unknown"),
        ("page=0", "page '0' is no number from 1 to 999999"),
        ("page=-1", "page '-1'"),
        ("page=1e3", "page '1e3'"),
        ("page=%D9%A1", "page '\u0661'"),
        ("page=1000000", "page '1000000'"),
        ("page=", "page ''"),
        ("page=1&page=2", "page is given twice"),
        ("&".join(f"a{number}=1" for number in range(30)), "more than 20 values"),
        ("sort=" + "x" * 10_000, "there is no sort 'xxxx"),
    ],
)
def test_what_there_is_not_is_refused_in_a_few_words(query: str, said: str) -> None:
    with pytest.raises(QueryError) as refused:
        wanted_by(ListName.CONTAINERS, query)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 200


@given(st.text())
def test_any_query_is_answered_or_refused(query: str) -> None:
    try:
        wanted = wanted_by(ListName.IMAGES, query)
    except QueryError:
        return
    assert wanted.sort in ORDERS[ListName.IMAGES]
    assert 1 <= wanted.page <= 999_999
