"""The command `docker-storage-exporter`; `python -m exporter` is the same."""

import os
import resource
import sys

from exporter.core.exit_status import INTERRUPTED
from exporter.core.standard_streams import fill_closed_streams

#: Bytes. No command fits into less, and what a module does that finds none left is its own choice: `hashlib` prints
#: tracebacks and goes on.
_LEAST_ADDRESS_SPACE = 64 << 20
#: What a shell sets when it asks for the words that may come next.
_COMPLETE = "_DOCKER_STORAGE_EXPORTER_COMPLETE"
_HELP = frozenset({"-h", "--help"})


def main() -> None:
    """Run the command line. Ctrl-C ends it in silence, also while it is still being loaded."""
    fill_closed_streams()
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESS_SPACE:
        least = _LEAST_ADDRESS_SPACE >> 10
        _end(f"there is not enough memory: ulimit -v is {limit >> 10}, and it takes at least {least}")
    try:
        if sys.argv[1:2] == ["run"] and _HELP.isdisjoint(sys.argv) and _COMPLETE not in os.environ:
            from exporter.service.start import begin  # noqa: PLC0415 - the other commands need none of it

            begin()
        from exporter.cli.main import main as command  # noqa: PLC0415 - loading takes long enough to be interrupted

        command(complete_var=_COMPLETE)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    except MemoryError:
        _end("there is not enough memory (see ulimit -v, and the memory limit of the service)")
    except ImportError as error:
        _end(f"it cannot be loaded: {error}")  # also of a library that does not fit into the memory
    except LookupError as error:
        if "unknown encoding" not in str(error):
            raise
        _end(f"there is not enough memory: {error}")  # its module does not fit
    except OSError as error:
        _end(str(error))  # such as no descriptor for the event loop


def _end(why: str) -> None:
    """End with one line. Nothing is cleaned up: that needs memory, too."""
    os.write(2, f"docker-storage-exporter: {why}\n".encode())
    os._exit(1)


if __name__ == "__main__":
    main()
