"""What the habits make of rows: names, filters, order, limit; and what is wrong with what was asked."""

from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.cli.commands.columns import ColumnKind, Filter, ListColumn, ObjectList
from exporter.cli.commands.filters import begins, compared, contains, equals, is_true, like, until
from exporter.cli.commands.habits import PLAIN, Chosen, Habits, check, choose, matches
from exporter.cli.commands.index import Index
from exporter.cli.commands.labels import labelled
from exporter.cli.commands.listings import LISTINGS
from exporter.cli.commands.tables import AtLeast
from exporter.cli.main import main
from exporter.expose.snapshot_api.rows import SCHEMA, Document


@dataclass(frozen=True)
class Thing:
    name: str
    size: int | None = None
    used: bool | None = None
    created: float | None = None


_EMPTY = Document(SCHEMA, "", "/root", "", (), (), (), None, *(((),) * 9), None)
_INDEX = Index(_EMPTY)
_AGES = {"old": 1.0, "new": 9.0, "?": None}
_FILTERS: dict[str, Filter[Thing]] = {
    "used": is_true(lambda _, one: one.used),
    "name": contains(lambda _, one: (one.name,)),
    "like": like(lambda _, one: (one.name,)),
    "is": equals(lambda _, one: (one.name,), ("a", "b")),
    "id": begins(lambda _, one: (one.name,)),
    "before": compared(lambda _, one: one.created, lambda _, name: _AGES[name], before=True),
    "since": compared(lambda _, one: one.created, lambda _, name: _AGES[name], before=False),
    "until": until(lambda _, one: one.created),
    "label": labelled(
        lambda _, __: {}, lambda one: one.name, lambda one: {"first": one.name[:1], "second": one.name[1:2]}
    ),
}
_THINGS: ObjectList[Thing] = ObjectList(
    "thing",
    (
        ListColumn("name", "NAME", ColumnKind.TEXT, lambda _, one: one.name, keep=True),
        ListColumn("size", "SIZE", ColumnKind.SIZE, lambda _, one: one.size, total=True),
        ListColumn("created", "CREATED", ColumnKind.AGE, lambda _, one: one.created, shown=False),
    ),
    names=lambda _, one: (one.name,),
    ids=lambda _, one: (one.name + "0" * 8,),
    key=lambda _, one: one.name[:3],
    whole=lambda _, one: one.name,
    filters=_FILTERS,
)


def _chosen(things: list[Thing], **habits: object) -> Chosen[Thing]:
    return choose(_THINGS, _INDEX, things, replace(PLAIN, **habits))


def _names(things: list[Thing], **habits: object) -> list[str]:
    return [one.name for one in _chosen(things, **habits).rows]


_ABC = [Thing("b", 2), Thing("a", 3), Thing("c", None)]


def test_that_nothing_matches_is_said() -> None:
    def said(things: list[Thing]) -> list[str]:
        return [line for part in _chosen(things, filters=(("name", "z"),)).said() for line in part.lines]

    assert said(_ABC) == ["No thing matches."]
    assert said([]) == [], "the command says that there is none"


def test_the_largest_comes_first_and_names_go_from_a_on_and_the_unknown_is_last() -> None:
    assert _names(_ABC) == ["b", "a", "c"]
    assert _names(_ABC, reverse=True) == ["c", "a", "b"]
    assert _names(_ABC, sort=("size",)) == ["a", "b", "c"]
    assert _names(_ABC, sort=("size",), reverse=True) == ["b", "a", "c"]
    assert _names(_ABC, sort=("name",)) == ["a", "b", "c"]
    both = [Thing("b", 1), Thing("a", 1), Thing("c", 2)]
    assert _names(both, sort=("size", "name")) == ["c", "a", "b"]


@given(st.lists(st.builds(Thing, st.text(max_size=3), st.none() | st.integers(0, 9))), st.booleans(), st.integers(0, 9))
def test_sorting_loses_nothing_and_a_limit_says_how_many_there_are(
    things: list[Thing], reverse: bool, limit: int
) -> None:
    chosen = _chosen(things, sort=("size",), reverse=reverse)
    assert sorted(chosen.rows, key=repr) == sorted(things, key=repr)
    sizes = [one.size for one in chosen.rows if one.size is not None]
    assert sizes == sorted(sizes, reverse=not reverse)
    assert [one.size for one in chosen.rows][len(sizes) :] == [None] * (len(things) - len(sizes))
    limited = _chosen(things, sort=("size",), reverse=reverse, limit=limit)
    assert list(limited.rows) == list(chosen.rows)[:limit]
    said = [line for part in limited.said() for line in part.lines]
    assert said == ([f"{limit} of {len(things)} rows: --limit."] if len(things) > limit else [])


def test_sums_are_of_the_rows_that_are_shown_and_say_what_they_lack() -> None:
    assert _chosen(_ABC, sort=("size",), limit=2).table(summed="total").footer == ("total", 5)
    footer = _chosen(_ABC).table(summed="total").footer
    assert footer == ("total", 5)
    assert isinstance(footer[1], AtLeast)
    assert _chosen([Thing("c")]).table(summed="total").footer == ("total", None)


def test_a_name_is_whole_or_a_pattern_or_the_beginning_of_an_id() -> None:
    things = [Thing(name) for name in ("web", "web2", "db", "team/web")]
    assert _names(things, names=("web",)) == ["web"], "not those of which it is the beginning"
    assert _names(things, names=("we",)) == ["web", "web2"]
    assert _names(things, names=("w*", "db")) == ["web", "web2", "db"]
    chosen = _chosen(things, names=("db", "nobody"))
    assert ([one.name for one in chosen.rows], chosen.failed) == (["db"], True)
    assert chosen.notes == ("No thing is called nobody, or has an id that begins with it.",)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("busy*", "busybox", True),
        ("*", "team/app", False),
        ("*/*", "team/app", True),
        ("team/???", "team/app", True),
        ("[a-c]x", "bx", True),
        ("[^a]x", "bx", True),
        ("[^a]x", "ax", False),
        ("a[", "a[", True),
        ("a.c", "abc", False),
        ("[", "/", False),
        ("[?-/]", "0", False),
        ("[a-a]", "a", True),
        ("[a-a]", "-", False),
        ("[a-ce]", "e", True),
        ("[^-]", "a", True),
        ("[--x]", "b", True),
        ("[a-]", "-", True),
    ],
)
def test_patterns_are_those_of_docker(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


@settings(max_examples=500)
@given(st.text(alphabet="ab[]^-*?\\/!&~|", max_size=8), st.text(alphabet="ab/", max_size=4))
def test_no_pattern_is_an_error(pattern: str, name: str) -> None:
    matches(pattern, name)


def test_what_may_match_is_left_out_and_counted() -> None:
    things = [Thing("a", used=True), Thing("b", used=False), Thing("c", used=None)]
    for value, expected in (("true", ["a"]), ("1", ["a"]), ("false", ["b"]), ("0", ["b"])):
        chosen = _chosen(things, filters=(("used", value),))
        assert [one.name for one in chosen.rows] == expected
        assert chosen.notes == ("1 thing is left out: it is not known whether the filter is for them.",)
    sure = _chosen(things, filters=(("used", "true"), ("name", "a")))
    assert (len(sure.rows), sure.notes) == (1, ()), "c is none, whatever it is used for"


def test_of_one_key_any_value_has_to_match_and_of_several_keys_all() -> None:
    things = [Thing(name) for name in ("ab", "bb", "b")]
    assert _names(things, filters=(("name", "a"), ("id", "bb"))) == []
    assert _names(things, filters=(("id", "a"), ("id", "bb"))) == ["ab", "bb"]
    assert _names(things, filters=(("like", "?b"),)) == ["ab", "bb"]
    assert _names(things, filters=(("is", "b"),)) == ["b"]
    assert _names(things, filters=(("label", "first=b"), ("label", "second"))) == ["bb"], "all labels have to match"


def test_a_label_that_an_exporter_does_not_tell_is_an_error() -> None:
    with pytest.raises(click.UsageError, match="an exporter tells of these labels only: first, second"):
        _names([Thing("a")], filters=(("label", "third=x"),))


def test_times_are_compared() -> None:
    things = [Thing("early", created=0), Thing("late", created=5), Thing("unknown")]
    assert _names(things, filters=(("before", "new"),)) == ["early", "late"]
    assert _names(things, filters=(("since", "old"),)) == ["late"]
    assert _names(things, filters=(("until", "24h"),)) == ["early", "late"]
    assert _names(things, filters=(("until", "50000w"),)) == []
    assert _names(things, filters=(("since", "?"),)) == []


@pytest.mark.parametrize(
    ("habits", "said"),
    [
        (Habits(sort=("siz",)), "--sort siz: no such column; known are name, size, created"),
        (Habits(filters=(("state", "x"),)), "--filter state: no such key; known are used, name, like, is"),
        (Habits(filters=(("used", "yes"),)), "--filter used=yes: true or false"),
        (Habits(filters=(("is", "c"),)), "--filter is=c: one of a, b"),
        (Habits(filters=(("until", "yesterday"),)), "a time such as 30m, 24h or 7d"),
    ],
)
def test_what_cannot_be_is_a_usage_error_that_names_what_can(habits: Habits, said: str) -> None:
    with pytest.raises(click.UsageError, match="--") as error:
        check(habits, [_THINGS])
    assert said in error.value.message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("images", "--filter", "labels=x"), "known are dangling, reference, before, since, until, status"),
        (("containers", "--sort", "weight"), "known are namespace, name, id, image"),
        (("volumes", "--format", "{{.Nam}}"), "no field Nam; known are Name, Size"),
        (("volumes", "--format", "{{if .Name}}{{end}}"), "only {{.Field}} and {{json .Field}}"),
        (("volumes", "--format", "{{.}}"), "{{json .}}"),
        (("volumes", "--format", "yaml"), "table, json, csv, or a template such as"),
        (("volumes", "-q", "--format", "csv"), "--quiet prints names only"),
        (("volumes", "--json", "--format", "csv"), "--json is a format"),
        (("volumes", "--filter", "dangling"), "give it as KEY=VALUE"),
        (("volumes", "--si", "--iec"), "exclude each other"),
        (("volumes", "--watch", "2"), "draws on a terminal"),
        (("volumes", "--watch", "2", "--json"), "--watch draws tables"),
        (("images", "--tree", "--quiet"), "--tree has no rows"),
        (("backup", "--format", "csv"), "this command has table and json"),
    ],
)
def test_a_wrong_command_line_is_said_before_anything_is_read(arguments: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(main, [*arguments, "--root", "/nowhere"])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


@pytest.mark.parametrize("command", LISTINGS)
def test_each_listing_can_be_asked_for_by_each_of_its_names(command: str) -> None:
    for listing in LISTINGS[command]:
        names = [one.name for one in listing.columns]
        assert len({*names}) == len(names)
        fields = [field.lower() for one in listing.columns for field in one.fields]
        assert len({*fields}) == len(fields)
        assert any(one.keep for one in listing.columns)


def test_a_column_is_sorted_by_the_name_that_docker_has_for_it_too() -> None:
    columns = (*_THINGS.columns, ListColumn("weight", "WEIGHT", ColumnKind.SIZE, lambda _, one: -(one.size or 0)))
    listing = replace(_THINGS, columns=(*columns[:1], *columns[2:-1], replace(columns[-1], fields=("Size",))))
    habits = Habits(sort=("size",))
    check(habits, (listing,))
    things = [Thing("a", 1), Thing("b", 3), Thing("c", 2)]
    assert [one.name for one in choose(listing, _INDEX, things, habits).rows] == ["a", "c", "b"]
