"""The command that frees each category, for engines of each age."""

import pytest

from exporter.core.engine_version import EngineVersion
from exporter.figures.prunes import NAMES, PRUNE, Category, Command, command

_NEW, _OLD, _UNKNOWN = EngineVersion((23, 0)), EngineVersion((1, 13), (23, 0)), EngineVersion((1, 13))
_FIRST = EngineVersion(None, (1, 9))


def test_the_order_is_that_of_docker_system_prune() -> None:
    assert [one.value for one in Category] == [
        "containers_stopped",
        "images_dangling",
        "images_unused",
        "volumes_unused",
        "build_cache",
        "build_history",
        "layers_orphaned",
    ]
    assert NAMES.keys() == {*Category}


@pytest.mark.parametrize("engine", [_NEW, _OLD, _UNKNOWN, EngineVersion()])
def test_each_prune_has_the_flag_that_makes_it_take_all(engine: EngineVersion) -> None:
    for category in (*PRUNE.keys() - {Category.VOLUMES_UNUSED, Category.BUILD_HISTORY},):
        assert command(category, engine, ["a"]) == Command(PRUNE[category], (PRUNE[category],))
    assert PRUNE[Category.IMAGES_UNUSED].endswith("--all")
    assert PRUNE[Category.BUILD_CACHE].endswith("--all")


def test_an_engine_without_a_build_history_has_no_command_for_it() -> None:
    prune = Command("docker buildx history rm --all", ("docker buildx history rm --all",))
    assert [command(Category.BUILD_HISTORY, engine, []) for engine in (_NEW, _UNKNOWN)] == [prune, prune]
    assert command(Category.BUILD_HISTORY, _OLD, []) == Command("")


def test_an_engine_without_a_build_cache_has_no_command_for_it() -> None:
    for engine in (_FIRST, EngineVersion((1, 13), (18, 9))):
        assert command(Category.BUILD_CACHE, engine, []) == Command("")


def test_volumes_are_pruned_with_all_where_the_engine_knows_the_flag() -> None:
    whole, plain = "docker volume prune --all", "docker volume prune"
    assert command(Category.VOLUMES_UNUSED, _NEW, []) == Command(whole, (whole,))
    assert command(Category.VOLUMES_UNUSED, _OLD, []) == Command(plain, (plain,))
    both = command(Category.VOLUMES_UNUSED, _UNKNOWN, [])
    assert both == Command(f"{whole} (Docker 23 and newer), {plain} (older)", (whole, plain))


def test_an_engine_without_prunes_removes_by_name() -> None:
    names = {
        Category.CONTAINERS_STOPPED: "docker rm a 'b c'",
        Category.IMAGES_DANGLING: "docker rmi a 'b c'",
        Category.IMAGES_UNUSED: "docker rmi a 'b c'",
        Category.VOLUMES_UNUSED: "docker volume rm a 'b c'",
    }
    for category, expected in names.items():
        assert command(category, EngineVersion((1, 9), (1, 13)), ["a", "b c"]) == Command(expected, (expected,))
        assert command(category, EngineVersion((1, 9), (1, 13)), []) == Command("")


def test_volumes_of_an_engine_that_has_no_command_for_them() -> None:
    assert command(Category.VOLUMES_UNUSED, _FIRST, ["a"]) == Command("Docker before 1.9 has no command for volumes")
    perhaps = command(Category.VOLUMES_UNUSED, EngineVersion(None, (1, 10)), ["a"])
    assert perhaps == Command("docker volume rm a (Docker 1.9 and newer)", ("docker volume rm a",))


def test_a_command_with_many_names_is_whole_and_its_text_is_short() -> None:
    names = [f"{number:012}" for number in range(100)]
    found = command(Category.CONTAINERS_STOPPED, _FIRST, names)
    assert found == Command("docker rm with 100 names: see df", (" ".join(("docker rm", *names)),))


def test_orphaned_layers_have_no_command_of_dockers() -> None:
    for engine in (_NEW, _OLD, _FIRST):
        assert command(Category.LAYERS_ORPHANED, engine, []).commands == ()
