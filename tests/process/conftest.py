from collections.abc import Iterator

import pytest

from exporter.measure.pool.pool import Pool


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2, 30) as workers:
        yield workers
