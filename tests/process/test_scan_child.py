import asyncio
import os
from typing import Any

from exporter.service.scan_child import ScanChild


def _ended_process() -> int:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def test_one_that_has_ended_already_is_closed_once() -> None:
    async def close() -> list[dict[str, Any]]:
        errors: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))

        async def launch(_orders: int, _output: int) -> int:
            return _ended_process()

        child = await ScanChild.start(launch)
        assert await child.end(1.0) == "it ended with status 0"
        await asyncio.sleep(0)  # what is called soon is called now
        await asyncio.sleep(0)
        return errors

    assert asyncio.run(close()) == []
