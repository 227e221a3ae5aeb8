"""What the query of a list's page asks for: `sort`, `order`, `only` and `page`."""

from urllib.parse import parse_qsl, urlencode

from exporter.core.wanted import CHOICES, ORDERS, TEXTS, ListName, Wanted, by_default

_MOST_VALUES = 20
_MOST_DIGITS = 6
_ORDER = {"asc": False, "desc": True}
_KNOWN = ("sort", "order", "only", "page")
_LONGEST = 40


class QueryError(Exception):
    """A query asks for what there is not; the message says what there is."""


def wanted_by(name: ListName, query: str) -> Wanted:
    """The page of a list that a query asks for; raises QueryError.

    What the query does not say is as usual, and parameters of other names are ignored. A page behind the last one is
    answered with the last one.
    """
    try:
        given = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_VALUES)
    except ValueError:
        raise QueryError(f"the query has more than {_MOST_VALUES} values") from None
    values: dict[str, str] = {}
    for key, value in given:
        if key in _KNOWN:
            if key in values:
                raise QueryError(f"{key} is given twice")
            values[key] = value
    sort = _one_of("sort", values.get("sort", ORDERS[name][0]), ORDERS[name])
    order = _one_of("order", values.get("order", "asc" if sort in TEXTS else "desc"), tuple(_ORDER))
    only = values.get("only", "")
    if only:
        _one_of("only", only, CHOICES[name])
    return Wanted(name, sort, _ORDER[order], only, _page(values.get("page", "1")))


def _one_of(key: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise QueryError(f"there is no {key} {value[:_LONGEST]!r}; known are: {', '.join(known)}")
    return value


def _page(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS and int(value)):
        raise QueryError(f"page {value[:_LONGEST]!r} is no number from 1 to {10**_MOST_DIGITS - 1}")
    return int(value)


def address(wanted: Wanted) -> str:
    """The address of a page, without what is as usual."""
    usual = by_default(wanted.list)
    pairs: list[tuple[str, str]] = []
    if (wanted.sort, wanted.descending) != (usual.sort, usual.descending):
        pairs.append(("sort", wanted.sort))
    if wanted.descending is (wanted.sort in TEXTS):
        pairs.append(("order", "desc" if wanted.descending else "asc"))
    pairs += [("only", wanted.only)] if wanted.only else []
    pairs += [("page", str(wanted.page))] if wanted.page > 1 else []
    return f"/{wanted.list}" + (f"?{urlencode(pairs)}" if pairs else "")
