"""The name of a process, as `ps -o comm` and `top` show it (proc(5)): a copy has the command line of its original."""

import contextlib

SCANNING = "exporter-scan"
#: As long as a name may be.
LAUNCHER = "exporter-launch"


def name_process(name: str) -> None:
    """Name this process."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)
