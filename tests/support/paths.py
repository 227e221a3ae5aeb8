"""Where things of this checkout lie."""

from pathlib import Path

TOP = Path(__file__).parents[2]
#: Recorded roots of real engines; not everybody has them.
SHARED = TOP.parent / "shared" / "data"
