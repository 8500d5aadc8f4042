"""CORS, security headers, closed paths, TLS, and the limit of connections: what settings make of HTTP."""

import asyncio
import contextlib
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from grandstand.api import http_protocol
from grandstand.api.app import build_app
from grandstand.settings import SettingsError, load_settings
from tests.api.conftest import KEYS, Site, problem, serve
from tests.api.test_over_the_wire import raw
from tests.support.connections import close
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
BOARD = "/api/leaderboards/global"
GAME = "https://play.example.com"


@contextlib.asynccontextmanager
async def running(site: Site, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The app under these settings, on a real server."""
    changed = site.services.settings.model_copy(update=settings)
    app = build_app(replace(site.services, settings=changed))
    async with serve(app, changed) as url, httpx.AsyncClient(base_url=url, verify=False) as client:
        yield client


def allowed(answer: httpx.Response) -> str | None:
    return answer.headers.get("access-control-allow-origin")


async def test_pages_of_other_origins_may_not_call_unless_a_setting_says_so(site: Site) -> None:
    async with running(site) as client:
        answer = await client.get(BOARD, headers={"Origin": GAME})
        assert answer.status_code == 200
        assert allowed(answer) is None
        preflight = {"Origin": GAME, "Access-Control-Request-Method": "POST"}
        assert allowed(await client.options("/api/events", headers=preflight)) is None


@pytest.mark.parametrize("path", [BOARD, "/api/leaderboards", "/nowhere", "/api/prizes"])
async def test_a_listed_origin_may_call_every_route(site: Site, path: str) -> None:
    async with running(site, cors_allow_origins=(GAME,)) as client:
        answer = await client.get(path, headers={"Origin": GAME})
        assert allowed(answer) == GAME
        assert "origin" in ", ".join(answer.headers.get_list("vary")).lower()
        assert "retry-after" in answer.headers["access-control-expose-headers"].lower()
        assert "access-control-allow-credentials" not in answer.headers
        for other in ("https://play.example.com.evil.example", "http://play.example.com", "null"):
            refused = await client.get(path, headers={"Origin": other})
            assert allowed(refused) is None
        # An edge must not keep what was answered without an origin for those who have one.
        assert "origin" in ", ".join((await client.get(path)).headers.get_list("vary")).lower()


async def test_a_preflight_is_answered_with_what_the_api_takes(site: Site) -> None:
    async with running(site, cors_allow_origins=(GAME,)) as client:
        preflight = {
            "Origin": GAME,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
        }
        answer = await client.options("/api/events", headers=preflight)
        assert answer.status_code == 204
        assert allowed(answer) == GAME
        assert "POST" in answer.headers["access-control-allow-methods"]
        taken = answer.headers["access-control-allow-headers"].lower()
        assert all(name in taken for name in ("authorization", "content-type", "idempotency-key"))
        assert allowed(await client.options("/api/events", headers=preflight | {"Origin": "https://evil"})) is None


async def test_any_origin_may_be_let_in(site: Site) -> None:
    async with running(site, cors_allow_origins=("*",)) as client:
        assert allowed(await client.get(BOARD, headers={"Origin": "https://anywhere.example"})) == "*"
        assert allowed(await client.get(BOARD)) == "*", "an edge may keep this answer for a page of any origin"


@pytest.mark.parametrize("origin", ["play.example.com", "https://play.example.com/", "ftp://x", "https://"])
def test_an_origin_that_is_none_stops_the_start(origin: str) -> None:
    with pytest.raises(SettingsError, match="cors-allow-origins"):
        load_settings(cors_allow_origins=origin)


async def test_every_answer_forbids_guessing_its_type(site: Site) -> None:
    async with running(site) as client:
        for path in (BOARD, "/api/health", "/nowhere", "/schema", "/api/health/live"):
            answer = await client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "server" not in answer.headers
            assert "strict-transport-security" not in answer.headers
        assert "default-src 'none'" in (await client.get("/schema")).headers["content-security-policy"]
        assert b"\r\nx-content-type-options: nosniff\r\n" in await raw(str(client.base_url), b"nonsense\r\n\r\n")


async def test_what_is_private_is_never_kept(site: Site) -> None:
    token = await site.token("ann")
    for path, who in ((BOARD, token), ("/api/prizes", token), ("/api/keys", "admin"), ("/api/health", "server")):
        assert "no-store" in (await site.get(path, who)).headers["cache-control"], path


async def test_refusals_name_no_engine_and_show_no_code(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("asyncpg says: the PostgreSQL at /var/lib failed")

    monkeypatch.setattr(site.services.profiles, "get", fails)
    answer = await site.get("/api/players/ann", "server")
    problem(answer, 500, "internal_error")
    for word in ("asyncpg", "postgres", "valkey", "traceback", "litestar", "uvicorn", ".py"):
        assert word not in answer.text.lower()


@pytest.mark.parametrize(
    ("setting", "paths"),
    [("metrics_enabled", ["/metrics", "/metrics/"]), ("schema_enabled", ["/schema", "/schema/openapi.json"])],
)
async def test_paths_can_be_closed(site: Site, setting: str, paths: list[str]) -> None:
    async with running(site, **{setting: False}) as client:
        for path in paths:
            problem(await client.get(path, headers=site.headers("admin")), 404, "not_found")
            for odd in ("/" + path, path.replace("/", "///"), path + "//", path.replace("m", "%6d")):
                head = f"GET {odd} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['admin']}\r\n"
                answer = await raw(str(client.base_url), f"{head}Connection: close\r\n\r\n".encode())
                assert answer.startswith(b"HTTP/1.1 404 "), (odd, answer)
        assert (await client.get(BOARD)).status_code == 200
    async with running(site) as client:
        assert (await client.get(paths[0], headers=site.headers("admin"))).status_code == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl makes the certificate")
    return cert, key


async def test_https_with_a_certificate(site: Site, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    async with running(site, tls_cert_file=cert, tls_key_file=key) as client:
        url = str(client.base_url).replace("http://", "https://")
        trusting = ssl.create_default_context(cafile=str(cert))
        async with httpx.AsyncClient(verify=trusting) as trusted:
            answer = await trusted.get(url.replace("127.0.0.1", "localhost") + BOARD)
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        async with httpx.AsyncClient(verify=old) as outdated:
            with pytest.raises(httpx.ConnectError):
                await outdated.get(url)


def test_certificate_and_key_belong_together(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    cert, key = certificate
    assert load_settings(tls_cert_file=cert, tls_key_file=key).tls_key_file == key
    other = tmp_path / "other.pem"
    other.write_text("nonsense")
    for wrong in ({"tls_cert_file": cert}, {"tls_key_file": key}, {"tls_cert_file": cert, "tls_key_file": other}):
        with pytest.raises(SettingsError):
            load_settings(**wrong)
    with pytest.raises(SettingsError, match="tls-cert-file"):
        load_settings(tls_cert_file=tmp_path / "missing.pem", tls_key_file=key)


async def test_connections_over_the_limit_are_told_so(site: Site) -> None:
    settings = site.services.settings.model_copy(update={"connections_max": 10})
    async with serve(site.app, settings) as url:
        parts = urlsplit(url)
        held = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(10)]

        async def is_full() -> bool:
            return b"503" in (await raw(url, b""))[:16]

        await eventually_async(is_full)
        head, _, body = (await raw(url, b"")).partition(b"\r\n\r\n")
        assert json.loads(body)["code"] == "unavailable"
        assert b"retry-after" in head
        for _, writer in held:
            await close(writer)

        async def is_let_in() -> bool:
            async with httpx.AsyncClient(base_url=url) as client:
                return (await client.get("/api/health/live")).status_code == 200

        await eventually_async(is_let_in)


async def test_the_rest_of_a_body_that_was_answered_must_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "REST_TIMEOUT_SECONDS", 0.2)
    request = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    async with serve(site.app, site.services.settings) as url:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(request)
        assert b" 200 " in await reader.readline()

        async def is_closed() -> bool:
            writer.write(b"x")
            return reader.at_eof()

        reading = asyncio.create_task(reader.read())
        await eventually_async(is_closed, what="a client that drips is cut off")
        await asyncio.gather(reading, return_exceptions=True)
        writer.transport.abort()
        # One that sends it all goes on.
        small = request.replace(b"1000000", b"5") + b"hello"
        last = b"GET /api/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await raw(url, small + last)).count(b" 200 ") == 2


async def test_a_client_that_takes_nothing_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "WRITE_TIMEOUT_SECONDS", 0.2)
    async with serve(site.app, site.services.settings) as url:
        parts = urlsplit(url)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
        # Far more answers than the buffers between the two hold, and nobody reads them.
        request = b"GET /schema/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"

        async def is_cut() -> bool:
            writer.write(request * 10)
            return writer.transport.is_closing()

        await eventually_async(is_cut, 20)
        writer.transport.abort()
