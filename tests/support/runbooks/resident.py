"""Runs commands of the exporter in forks of one process that has imported them: the imports cost more than a command.

`python -m tests.support.runbooks.resident SOCKET` is that process. What is asked for over the socket is a command with
its directory, its environment and its three streams; the answer is its exit status.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import exporter.cli.commands
from exporter.__main__ import main
from tests.support.paths import TOP

#: The program that people type: it asks, and does nothing itself.
_CLIENT = """\
#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    answer = server.recv(1)
sys.exit(answer[0] if answer else 70)
"""


@contextlib.contextmanager
def resident(directory: Path, program: Path) -> Iterator[None]:
    """Make a program that runs commands of the exporter, for the length of a `with` block."""
    path = directory / "exporter.sock"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.runbooks.resident", str(path)], cwd=TOP, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        program.write_text(_CLIENT.format(python=sys.executable, path=str(path)))
        program.chmod(0o755)
        try:
            yield
        finally:
            process.kill()


def _serve(path: str) -> None:
    for one in pkgutil.iter_modules(exporter.cli.commands.__path__, "exporter.cli.commands."):
        importlib.import_module(one.name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        os.write(1, b"ready\n")
        while True:
            asked, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(asked)
                os._exit(0)
            asked.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _answer(asked: socket.socket) -> None:
    """Run what is asked for, and say how it ended."""
    length, streams, _, _ = socket.recv_fds(asked, 4, 3)
    with asked.makefile("rb") as rest:
        arguments, directory, environment = json.loads(rest.read(int.from_bytes(length, "big")))
    number = os.fork()
    if number == 0:
        asked.close()
        _run(arguments, directory, environment, streams)
    status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    asked.sendall(bytes([status % 256]))


def _run(arguments: list[str], directory: str, environment: dict[str, str], streams: list[int]) -> NoReturn:
    """Be the command: the exporter ends its process itself, or this does."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["docker-storage-exporter", *arguments]
    main()
    sys.exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
