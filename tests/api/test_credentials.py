"""Keys and player sessions: what opens what, what is stored, and what revocation and outages do."""

import asyncio
import contextlib
import hashlib
import hmac
import re
import secrets
import tracemalloc
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import pytest

from grandstand.clock import now
from grandstand.domain.credentials import make_key, sign_user_id, signing_key, token_secret
from grandstand.domain.errors import UnauthorizedError
from grandstand.operations.authenticate import Authenticator
from grandstand.operations.first_keys import ensure_first_keys
from grandstand.operations.player_tokens import AUDIENCE
from grandstand.settings import Settings
from tests.api.conftest import KEYS, Site, problem
from tests.support.core import Core, core, core_database_url
from tests.support.waiting import eventually_async

__all__ = ["core", "core_database_url"]
pytestmark = pytest.mark.anyio
PATH = "/api/players/sessions"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "keys.md"


async def test_a_server_key_opens_a_session_for_anyone(site: Site) -> None:
    answer = await site.post(PATH, {"user_id": "zoë/1"}, "server")
    assert answer.status_code == 201
    assert answer.json()["user_id"] == "zoë/1"
    event = {"event_type": "t", "user_id": "zoë/1"}
    assert (await site.post("/api/events", event, answer.json()["token"])).status_code == 202


async def test_a_device_is_the_same_user_for_ever(site: Site) -> None:
    device = {"device_id": secrets.token_hex(16)}
    answers = await asyncio.gather(*(site.post(PATH, device, "client") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["user_id"] for answer in answers}) == 1
    other = await site.post(PATH, {"device_id": secrets.token_hex(16)}, "client")
    assert other.json()["user_id"] != answers[0].json()["user_id"]


async def test_a_client_key_needs_the_signature_of_a_server_key(site: Site) -> None:
    signature = sign_user_id("ann", signing_key(KEYS["server"]))
    answer = await site.post(PATH, {"user_id": "ann", "signature": signature}, "client")
    assert answer.status_code == 201
    problem(await site.post(PATH, {"user_id": "ann"}, "client"), 403, "forbidden")
    problem(await site.post(PATH, {"user_id": "bob", "signature": signature}, "client"), 403, "forbidden")
    for wrong in ("", "x" * 64, signature[:-1], "é" * 64):
        problem(await site.post(PATH, {"user_id": "ann", "signature": wrong}, "client"), 403, "forbidden")


async def test_the_signature_of_the_documentation_opens_a_session(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)
    made = await site.post("/api/keys", {"kind": "server", "name": "game server"}, "admin")
    monkeypatch.setenv("GRANDSTAND_SERVER_KEY", made.json()["key"])
    answer = await site.post(PATH, {"user_id": "zoë/1", "signature": names["sign_in"]("zoë/1")}, "client")
    assert answer.status_code == 201, answer.text
    assert answer.json()["user_id"] == "zoë/1"


def test_with_a_made_key_the_signature_is_plain_hmac() -> None:
    key = make_key("server")
    assert sign_user_id("ann", signing_key(key)) == hmac.new(key.encode(), b"ann", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b"[]", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"user_id":""}', 422, "invalid"),
        (b'{"user_id":5}', 422, "invalid"),
        (b'{"user_id":"a\\u0000b"}', 422, "invalid"),
        (b'{"user_id":"\\ud800"}', 400, "malformed"),
        (b'{"user_id":"%s"}' % (b"u" * 256), 422, "invalid"),
        (b'{"device_id":"short"}', 422, "invalid"),
        (b'{"device_id":"%s"}' % (b"d" * 256), 422, "invalid"),
        (b'{"device_id":"12345678","user_id":"ann"}', 422, "invalid"),
    ],
)
async def test_bad_session_requests(site: Site, body: bytes, status: int, code: str) -> None:
    problem(await site.post(PATH, body, "server"), status, code)


async def test_who_may_open_sessions(site: Site) -> None:
    problem(await site.post(PATH, {"user_id": "ann"}), 401, "unauthorized")
    problem(await site.post(PATH, {"user_id": "ann"}, await site.token("ann")), 403, "forbidden")


async def test_only_our_own_fresh_tokens_are_good(site: Site) -> None:
    key = token_secret(site.services.authenticator.secret)
    good = {"aud": AUDIENCE, "sub": "ann", "iat": now().timestamp(), "exp": now().timestamp() + 60, "jti": "1"}

    async def status(claims: dict[str, Any], key: Any = key, algorithm: str = "HS256") -> int:
        token = jwt.encode(claims, key, algorithm=algorithm)
        return (await site.post("/api/events", {"event_type": "t", "user_id": "ann"}, token)).status_code

    assert await status(good) == 202
    assert await status(good | {"exp": now().timestamp() - 1}) == 401
    assert await status(good | {"aud": "other"}) == 401
    assert await status(good | {"sub": "a\x00"}) == 401
    assert await status({name: value for name, value in good.items() if name != "exp"}) == 401
    assert await status(good, secrets.token_bytes(32)) == 401
    assert await status(good, None, "none") == 401


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "bearer x", "Token a", "Bearer " + "x" * 9000, "Bearer gs_server_", "\xff"]
)
async def test_strange_credentials_are_401(site: Site, value: str) -> None:
    answer = await site.client.get("/api/health", headers={b"authorization": value.encode("latin-1")})
    problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("path", ["/api/keys", "/api/events", "/api/leaderboards/global", "/api/health"])
async def test_two_credentials_are_none(site: Site, path: str) -> None:
    for first, second in (("admin", "client"), ("client", "admin"), ("admin", "admin")):
        headers = [("authorization", f"Bearer {KEYS[who]}") for who in (first, second)]
        body = b'{"event_type":"t","user_id":"ann"}'
        method = "POST" if path == "/api/events" else "GET"
        problem(await site.client.request(method, path, headers=headers, content=body), 401, "unauthorized")
    both = [("authorization", f"Bearer {await site.token('ann')}")] * 2
    problem(await site.client.post("/api/players/sessions/refresh", headers=both), 401, "unauthorized")


async def test_what_is_remembered_of_a_token_does_not_grow_with_its_spellings(site: Site) -> None:
    token = await site.token("ann")
    tokens = site.services.authenticator.tokens
    tokens.verify(token)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1000, 2000):
            with contextlib.suppress(UnauthorizedError):  # whether such a spelling is taken is the library's choice
                assert tokens.verify(token + "!" * number).user_id == "ann"
        grown_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown_bytes < 500_000, "1.5 MB of texts were sent"


async def test_what_is_remembered_of_a_key_does_not_grow_with_its_spellings(site: Site) -> None:
    """A client key is public: whoever has it must not fill the memory by sending it with more and more spaces."""
    site.services.authenticator.principal(f"Bearer {KEYS['client']}")
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for spaces in range(1000, 3000):
            principal = site.services.authenticator.principal("Bearer" + " " * spaces + KEYS["client"])
            assert principal.kind == "client"
        grown_bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown_bytes < 500_000, "4 MB of texts were sent"


async def test_only_hashes_are_stored(site: Site) -> None:
    await site.post(PATH, {"device_id": "device-in-clear"}, "client")
    async with site.core.database.connection() as connection:
        for table in ("api_keys", "player_devices"):
            text = str(await connection.fetchval(f"SELECT string_agg(t::text, ' ') FROM {table} t"))
            for secret in (*KEYS.values(), "device-in-clear"):
                assert secret not in text
                assert secret.encode().hex() not in text


@pytest.fixture
async def keyless(core: Core) -> Core:
    """A deployment that has never had a key."""
    async with core.database.connection() as connection:
        await connection.execute("DELETE FROM api_keys; DELETE FROM deployment_secrets")
    return core


async def test_first_keys_are_made_once_however_many_start(keyless: Core) -> None:
    made = await asyncio.gather(*(ensure_first_keys(keyless.database, Settings()) for _ in range(5)))
    assert sorted(len(keys) for keys in made) == [0, 0, 0, 0, 3]
    [keys] = [keys for keys in made if keys]
    authenticator = Authenticator(keyless.database, refresh_seconds=60, token_ttl_seconds=60, session_seconds=600)
    await authenticator.start()
    for kind, key in keys.items():
        assert len(key) > 64
        assert authenticator.principal(f"Bearer {key}").kind == kind
    await authenticator.stop()


async def test_another_key_in_the_settings_replaces_the_one_before(keyless: Core) -> None:
    def settings(key: str) -> Settings:
        return Settings(server_key=key, admin_key=KEYS["admin"], client_key=KEYS["client"])  # type: ignore[arg-type]

    async def kinds(key: str) -> bool:
        await authenticator.refresh()
        try:
            return authenticator.principal(f"Bearer {key}").kind == "server"
        except Exception:  # noqa: BLE001
            return False

    one, two = "gs_server_one-0123456789abcdef", "gs_server_two-0123456789abcdef"
    assert await ensure_first_keys(keyless.database, settings(one)) == {}
    authenticator = Authenticator(keyless.database, refresh_seconds=60, token_ttl_seconds=60, session_seconds=600)
    await authenticator.start()
    assert (await kinds(one), await kinds(two)) == (True, False)
    await ensure_first_keys(keyless.database, settings(two))
    assert (await kinds(one), await kinds(two)) == (False, True)
    await ensure_first_keys(keyless.database, settings(one))
    assert (await kinds(one), await kinds(two)) == (True, False)
    await authenticator.stop()


async def test_a_revoked_key_ends_within_the_refresh_and_an_outage_locks_nobody_out(keyless: Core) -> None:
    [key] = [(await ensure_first_keys(keyless.database, Settings()))["server"]]
    authenticator = Authenticator(keyless.database, refresh_seconds=0.05, token_ttl_seconds=60, session_seconds=600)
    await authenticator.start()
    assert authenticator.principal(f"Bearer {key}").kind == "server"
    async with keyless.database.connection() as connection:
        await connection.execute("ALTER TABLE api_keys RENAME TO hidden_keys")
    with pytest.raises(asyncpg.UndefinedTableError):
        await authenticator.refresh()
    assert authenticator.principal(f"Bearer {key}").kind == "server"
    async with keyless.database.connection() as connection:
        await connection.execute("ALTER TABLE hidden_keys RENAME TO api_keys")
        await connection.execute("UPDATE api_keys SET revoked_at = now()")

    def is_refused() -> bool:
        try:
            authenticator.principal(f"Bearer {key}")
        except Exception:  # noqa: BLE001
            return True
        return False

    await eventually_async(is_refused)
    await authenticator.stop()
