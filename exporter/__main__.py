"""The command `docker-storage-exporter`; `python -m exporter` is the same."""

import os

from exporter.core.exit_status import INTERRUPTED


def main() -> None:
    """Run the command line. Ctrl-C ends it in silence, also while it is still being loaded."""
    try:
        from exporter.cli.main import main as command  # noqa: PLC0415 - loading takes long enough to be interrupted
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    command()


if __name__ == "__main__":
    main()
