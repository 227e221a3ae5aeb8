"""The table of `make mutants` names modules and tests that exist."""

import tomllib

from tests.support.paths import TOP


def test_every_module_and_test_of_the_table_exists() -> None:
    table = tomllib.loads((TOP / "scripts/mutants.toml").read_text())["tests"]
    assert table
    paths = [*table, *(f"tests/unit/{test}" for tests in table.values() for test in tests)]
    assert [path for path in paths if not (TOP / path).exists()] == []
