"""Asks the HTTP children whether they are ready."""

import asyncio
import ssl

POLL_SECONDS = 0.05
ANSWER_TIMEOUT_SECONDS = 5.0
REQUEST = b"GET /api/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def wait_until_ready(host: str, port: int, *, has_tls: bool = False) -> None:
    """Return as soon as `/api/health/ready` answers 200."""
    while not await _is_ready(host, port, _any_certificate() if has_tls else None):  # noqa: ASYNC110 - another process knows, and only asking tells
        await asyncio.sleep(POLL_SECONDS)


def _any_certificate() -> ssl.SSLContext:
    # These are our own children on our own socket; the certificate names the host that clients know.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _is_ready(host: str, port: int, tls: ssl.SSLContext | None) -> bool:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
            try:
                writer.write(REQUEST)
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status.split(b" ")[1:2] == [b"200"]
