"""Ten thousand random changes of a root of each layout, one after the other, under one exporter that runs all the time.

`python -m benchmarks.changes --changes 10000 --seed 1`. Objects are made, altered, damaged, lost and removed, most
often faster than the exporter looks; every few hundred changes, and at the end, its figures must become those of `du`
and of a fresh process without anything else happening. It fails when they do not, or when the log has an error.
"""

import argparse
import random
import re
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.same import until_right
from benchmarks.subject import Subject, subject
from tests.support.changing import HOSTS, Host

#: What nothing needs is orphaned at once: a fresh process cannot know since when another one has watched it.
_ALIKE = ("--layers.orphaned-after", "0")
_FLAGS = (*_ALIKE, "--cache.file", "none", "--scan.interval", "1", "--scan.duty-cycle", "1")
#: Every eighth look compares everything: of some damage, only that one tells.
_LOOKS = ("--watch.look-interval", "5")
_NAMES = {"graph": HOSTS[0], "layerdb": HOSTS[1], "containerd": HOSTS[2]}
#: In one of so many cases nothing happens for a while after a change: then it is scanned alone.
_QUIET_ONE_IN = 40
_QUIET_SECONDS = 1.5
_MOST_PAUSE = 0.02


def change_and_compare(host: Host, running: Subject, changes: int, every: int, seed: int) -> list[str]:
    """Make so many changes, and compare after each `every` of them; what differs, and of which change that is true."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    wrong: list[str] = []
    for number in range(1, changes + 1):
        host.change()
        time.sleep(_QUIET_SECONDS if not chance.randrange(_QUIET_ONE_IN) else chance.uniform(0, _MOST_PAUSE))
        if number % every and number != changes:
            continue
        host.settle()
        found: list[str] = []
        seconds = until_right(running, host.path, found, *_ALIKE)
        print(f"  {number} changes, {host.count()} objects: right after {seconds:.0f} s, {len(found)} differences")
        sys.stdout.flush()
        wrong += [f"after {number} changes: {one}" for one in found]
    return wrong


def main() -> None:
    """Change the root of each layout; exit with 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=250)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layout", choices=[*_NAMES], action="append")
    chosen = parser.parse_args()
    wrong: list[str] = []
    for name in chosen.layout or _NAMES:
        print(f"{name}: {chosen.changes} changes, seed {chosen.seed}")
        with tempfile.TemporaryDirectory(prefix="changes-") as directory:
            host = _NAMES[name](Path(directory) / "root", chosen.seed, chosen.objects)
            host.change()
            with subject(host.path, *_FLAGS, *_LOOKS) as running:
                running.ready()
                wrong += change_and_compare(host, running, chosen.changes, chosen.every, chosen.seed)
            log = [line.strip() for line in running.lines]
            wrong += [line for line in log if re.search("Traceback|event=(internal.error|root.unreadable)", line)]
    for one in wrong:
        print(one)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
