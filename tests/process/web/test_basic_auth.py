import asyncio
import base64
import socket
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.web.access import basic_auth, bcrypt_threads
from exporter.web.access.basic_auth import Authenticator, Verdict, credentials
from tests.support.exporter import exporter
from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE

_HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@given(st.text(max_size=40), st.binary(max_size=40))
def test_any_header_has_credentials_or_none(text: str, raw: bytes) -> None:
    credentials(text)
    found = credentials("Basic " + base64.b64encode(raw).decode())
    assert (found is None) == (b":" not in raw)


def test_a_verdict_is_given_once_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real: Callable[[str, bytes], bool] = bcrypt_threads.matches

    def matches(hashed: str, password: bytes) -> bool:
        compared.append(password)
        return real(hashed, password)

    monkeypatch.setattr(bcrypt_threads, "matches", matches)

    async def judge() -> list[Verdict]:
        one = Authenticator()
        one.use({"prom": _HASH})
        asked = [header("prom", "secret"), header("prom", "wrong"), header("nobody", "secret"), None] * 3
        verdicts = [await one.judge(each, "127.0.0.1") for each in asked]
        one.close()
        return verdicts

    refused = Verdict.REFUSED
    assert asyncio.run(judge()) == [Verdict.ADMITTED, refused, refused, refused] * 3
    assert compared == [b"secret", b"wrong", b"secret"], "an unknown user costs a comparison too"


def test_wrong_passwords_make_nobody_wait_who_is_known() -> None:
    async def judge() -> tuple[Verdict, list[Verdict], Verdict]:
        one = Authenticator()
        one.use({"prom": bcrypt.hashpw(b"secret", bcrypt.gensalt(8)).decode()})
        await one.judge(header("prom", "secret"), "10.0.0.1")
        guesses = [asyncio.ensure_future(one.judge(header("prom", str(number)), "10.0.0.2")) for number in range(100)]
        await asyncio.sleep(0)
        known = await one.judge(header("prom", "secret"), "10.0.0.1")
        pending = sum(not guess.done() for guess in guesses)
        assert pending, "it did not wait for the guesses"
        verdicts = await asyncio.gather(*guesses)
        again = await one.judge(header("prom", "secret"), "10.0.0.3")
        one.close()
        return known, verdicts, again

    known, verdicts, again = asyncio.run(judge())
    assert known is again is Verdict.ADMITTED
    assert set(verdicts) == {Verdict.REFUSED, Verdict.BUSY}
    assert verdicts.count(Verdict.REFUSED) == basic_auth._WAITING_EACH


def test_a_changed_hash_ends_what_was_remembered() -> None:
    async def judge() -> list[Verdict]:
        one = Authenticator()
        one.use({"prom": _HASH})
        verdicts = [await one.judge(header("prom", "secret"), "a")]
        one.use({"prom": bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()})
        verdicts += [await one.judge(header("prom", each), "a") for each in ("secret", "other")]
        one.close()
        return verdicts

    assert asyncio.run(judge()) == [Verdict.ADMITTED, Verdict.REFUSED, Verdict.ADMITTED]


def test_what_is_remembered_of_wrong_passwords_is_bounded() -> None:
    async def judge() -> int:
        one = Authenticator()
        one.use({"prom": _HASH})
        for number in range(basic_auth._REFUSALS_KEPT + 20):
            await one.judge(header("prom", str(number)), "a")
        one.close()
        return len(one._refused)

    assert asyncio.run(judge()) == basic_auth._REFUSALS_KEPT


def test_an_expensive_hash_makes_nobody_wait_whose_hash_is_cheap() -> None:
    async def judge() -> tuple[Verdict, bool, Verdict]:
        one = Authenticator()
        one.use({"prom": _HASH, "slow": _HASH.replace("$04$", "$17$")})
        waiting = asyncio.ensure_future(one.judge(header("slow", "x"), "10.0.0.2"))
        await asyncio.sleep(0)
        right = await one.judge(header("prom", "secret"), "10.0.0.1")
        still_waiting = not waiting.done()
        one.close()
        return right, still_waiting, await waiting

    assert asyncio.run(judge()) == (Verdict.ADMITTED, True, Verdict.BUSY)


_MIXED = {f"user{cost}": _HASH.replace("$04$", f"${cost}$") for cost in ("04", "05", "06", "07")}


@pytest.mark.parametrize("password", ["wrong", "x" * 100, "with\0nul", ""])
def test_a_wrong_password_takes_the_same_work_whoever_it_is_for(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    work: list[int] = []
    real: Callable[[str, bytes], bool] = bcrypt_threads.matches

    def matches(hashed: str, given: bytes) -> bool:
        work.append(2 ** int(bcrypt_threads.cost_of(hashed)))
        return real(hashed, given)

    monkeypatch.setattr(bcrypt_threads, "matches", matches)

    async def judge() -> dict[str, tuple[Verdict, int]]:
        one = Authenticator()
        one.use(_MIXED)
        found = {}
        for name in (*_MIXED, "nobody", "root", "", "é", "x" * 5000):
            work.clear()
            verdict = await one.judge(header(name, password), "10.0.0.1")
            found[name] = (verdict, sum(work))
        one.close()
        return found

    assert set(asyncio.run(judge()).values()) == {(Verdict.REFUSED, 2**7)}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["10.0.0.1", "10.0.0.2"])), max_size=120))
def test_how_many_may_wait_does_not_depend_on_who_is_a_user(guesses: list[tuple[str, str]]) -> None:
    async def judge(users: dict[str, str]) -> list[Verdict]:
        one = Authenticator()
        one.use(users)
        asked = [one.judge(header(name, str(number)), client) for number, (name, client) in enumerate(guesses)]
        verdicts = await asyncio.gather(*asked)
        one.close()
        return verdicts

    known = asyncio.run(judge({"a": _HASH, "b": _HASH}))
    assert known == asyncio.run(judge({"x": _HASH, "y": _HASH}))
    assert known.count(Verdict.REFUSED) == len(guesses) - known.count(Verdict.BUSY)


def test_a_client_with_many_names_leaves_room_for_others() -> None:
    async def judge() -> tuple[list[Verdict], Verdict]:
        one = Authenticator()
        one.use({"prom": _HASH})
        guesses = [asyncio.ensure_future(one.judge(header(f"name{number}", "x"), "10.0.0.2")) for number in range(200)]
        await asyncio.sleep(0)
        other = await one.judge(header("prom", "secret"), "10.0.0.1")
        verdicts = await asyncio.gather(*guesses)
        one.close()
        return verdicts, other

    verdicts, other = asyncio.run(judge())
    assert verdicts.count(Verdict.REFUSED) == basic_auth._WAITING_CLIENT < basic_auth._WAITING
    assert other is Verdict.ADMITTED


def test_an_unknown_user_looks_like_some_known_one_also_after_a_restart() -> None:
    one, restarted = Authenticator(), Authenticator()
    one.use(_MIXED)
    restarted.use(_MIXED)
    costs = {name: one._cost_for(name) for name in map(str, range(100))}
    assert set(costs.values()) == {"04", "05", "06", "07"}
    assert costs == {name: restarted._cost_for(name) for name in costs}


@pytest.mark.parametrize("prefix", ["$2$", "$2a$", "$2b$", "$2x$", "$2y$"])
def test_hashes_of_every_tool_are_known(prefix: str) -> None:
    hashed = _HASH.replace("$2b$", prefix)
    assert bcrypt_threads.matches(hashed, b"secret")
    assert not bcrypt_threads.matches(hashed, b"wrong")
    assert not bcrypt_threads.matches(hashed, b"secret".ljust(73))


def test_the_exporter_stops_while_a_password_is_checked(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{slow: {_HASH.replace('$04$', '$31$')}}}\n")
    with (
        exporter(graph_root(tmp_path / "root").path, "--web.config.file", str(web)) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=DEADLINE) as one,
    ):
        one.sendall(f"GET / HTTP/1.1\r\nhost: x\r\nauthorization: {header('slow', 'x')}\r\n\r\n".encode())
        assert running.get()[0] == 401, "it has come after the other"
        running.stop()  # the check takes hours
        assert running.process.stderr is not None
        assert "level=error" not in running.process.stderr.read()
