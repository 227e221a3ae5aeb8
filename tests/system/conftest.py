from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.packages import build_packages
from tests.support.todays_engine import TodaysEngine, versions


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return build_packages(tmp_path_factory.mktemp("deb"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Name the engine's version in a failure: the version of Debian testing is another one each month."""
    report = yield
    used = getattr(item, "funcargs", {}).values()
    if report.failed and any(isinstance(one, TodaysEngine) for one in used):
        report.sections.append(("Engine", versions()))
    return report
