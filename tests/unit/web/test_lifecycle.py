import asyncio
from http import HTTPStatus

import pytest

from exporter.web.lifecycle import is_cross_site, reload_handler
from exporter.web.protocol.message import Request, Response


def _request(**headers: str) -> Request:
    return Request("POST", "/-/reload", {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "exporter:9588"},
        {},
        {"host": "exporter:9588", "sec_fetch_site": "same-origin"},
        {"host": "exporter:9588", "sec_fetch_site": "none"},
        {"host": "exporter:9588", "origin": "http://exporter:9588"},
        {"host": "exporter", "origin": "https://EXPORTER:443"},
        {"host": "exporter:443", "origin": "https://exporter"},
        {"host": "[::1]:9588", "origin": "http://[::1]:9588"},
        {"host": "exporter:9588", "referer": "http://exporter:9588/status"},
    ],
)
def test_a_request_of_no_page_or_of_an_own_page_is_taken(headers: dict[str, str]) -> None:
    assert not is_cross_site(_request(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "exporter:9588", "sec_fetch_site": "cross-site"},
        {"host": "exporter:9588", "sec_fetch_site": "same-site"},
        {"host": "exporter:9588", "sec_fetch_site": "x"},
        {"host": "exporter:9588", "sec_fetch_site": "cross-site", "origin": "http://exporter:9588"},
        {"host": "exporter:9588", "sec_fetch_site": "none", "origin": "http://evil.example"},
        {"host": "exporter:9588", "origin": "http://evil.example"},
        {"host": "exporter:9588", "origin": "http://exporter:80"},
        {"host": "exporter:9588", "origin": "http://exporter"},
        {"host": "exporter:9588", "origin": "null"},
        {"host": "exporter:9588", "origin": ""},
        {"host": "exporter:9588", "origin": "http://["},
        {"host": "exporter:9588", "origin": "http://exporter:9588@evil.example"},
        {"host": "exporter:9588", "origin": "http://exporter:9588.evil.example"},
        {"host": "exporter:9588", "origin": "chrome-extension://exporter:9588"},
        {"host": "exporter:9588", "referer": "http://evil.example/http://exporter:9588/"},
        {"origin": "http://exporter:9588"},
    ],
)
def test_a_request_of_another_site_is_refused(headers: dict[str, str]) -> None:
    assert is_cross_site(_request(**headers))


def test_reloads_are_limited_and_what_is_refused_takes_no_turn() -> None:
    reloaded = 0

    def reload() -> bool:
        nonlocal reloaded
        reloaded += 1
        return True

    handler = reload_handler(reload)

    async def ask(count: int, **headers: str) -> list[Response]:
        return [await handler(_request(host="x", **headers)) for _ in range(count)]

    refused = asyncio.run(ask(20, origin="http://evil.example"))
    assert {one.status for one in refused} == {HTTPStatus.FORBIDDEN}
    answers = asyncio.run(ask(20))
    assert [one.status for one in answers] == [200] * 3 + [429] * 17
    assert reloaded == 3
    assert 1 <= int(dict(answers[-1].headers)["retry-after"]) <= 10
