"""What the serving process and the scanning process say to each other: a length and a pickle.

Both ends are this program, and what came from the disk is inside as plain values.
"""

import pickle
from dataclasses import dataclass, field

from exporter.config.settings import Config
from exporter.core.model import Counters

LENGTH_BYTES = 8
#: After the order, on the same pipe: scan everything again.
RELOAD = b"r"


@dataclass(frozen=True, slots=True)
class Order:
    """What the serving process tells a new scanning process: the settings and where to count on from."""

    config: Config
    counters: Counters = field(default_factory=Counters)


def frame(message: object) -> bytes:
    """Encode a message for the pipe, with its length in front."""
    raw = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return len(raw).to_bytes(LENGTH_BYTES, "big") + raw
