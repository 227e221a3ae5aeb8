"""Opens the disk that a command reads by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from exporter.config.settings import Config
from exporter.core.data_root import DataRoot
from exporter.core.log import printable
from exporter.inventory.containerd_root import ContainerdRoot
from exporter.inventory.opening import RootError, open_root


@contextmanager
def open_disk(config: Config) -> Iterator[DataRoot]:
    """Open a data root and the root of the containerd beside it; raises click.ClickException where that cannot be."""
    try:
        with open_root(config.root, network=config.scan.network) as root:
            ContainerdRoot(config.containerd_root).attach(root)
            yield root
    except RootError as error:
        raise click.ClickException(printable(f"{config.root}: {error}")) from None
