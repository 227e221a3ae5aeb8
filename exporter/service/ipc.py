"""The orders of the serving process to the scanning process. It sends back publications (`expose.publication`).

This module imports little: the scanning process needs it to start its workers, before it imports anything larger.
"""

import os
from typing import NamedTuple

from exporter.config.settings import Config
from exporter.core.framing import FrameReader
from exporter.core.messages import Messages
from exporter.core.model import Counters, ViewKind
from exporter.core.wanted import Wanted


class StartScanning(NamedTuple):
    """The first order to a scanning process: the settings, and the counters to start from."""

    config: Config
    counters: Counters


class ScanAgain(NamedTuple):
    """Scan everything again."""


class Show(NamedTuple):
    """Send a view of what was published last; for a listing, of the page that is wanted."""

    kind: ViewKind
    wanted: Wanted | None = None


Order = StartScanning | ScanAgain | Show
ORDERS: Messages[Order] = Messages(StartScanning, ScanAgain, Show)

#: The exit status of a scanning process that may not read a root, or write where the cache is, which are there
#: now: another one may.
ANOTHER_ROOT = 75

_READ_BYTES = 1 << 16


class OrderReader:
    """The reading end of the pipe of orders, in the scanning process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._frames = FrameReader()

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._descriptor

    def read(self) -> list[Order] | None:
        """Wait for bytes; return the orders that are complete, None at the end. Raises ProtocolError."""
        piece = os.read(self._descriptor, _READ_BYTES)
        if not piece:
            return None
        return [order for frame in self._frames.feed(piece) for order in ORDERS.decode(frame)]
