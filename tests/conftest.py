import signal

import pytest
from hypothesis import settings

# How long an example takes says nothing about the product, and on a busy machine makes tests fail.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
# A job in the background of a shell that is a script ignores this signal, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check that groups of tests stay together: xdist writes the group behind the id of a test, if pytest lets it."""
    if getattr(config.option, "loadgroup", False):
        loose = [item.nodeid for item in items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid]
        if loose:
            raise pytest.UsageError(f"this pytest-xdist does not work with this pytest: {loose[0]} has lost its group")
