"""Where webhooks must not go, however the way there is dressed up."""

import ssl
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore
import msgspec
import pytest

from grandstand.domain.errors import InvalidError
from grandstand.domain.webhook_urls import is_public, read_webhook_url
from grandstand.operations.webhook_connections import AddressGuard, AddressRefusedError, GuardedNetwork
from tests.webhooks.conftest import Hooks

pytestmark = pytest.mark.anyio

CLOSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.0.1
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1
192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1
100::1 2001::1 2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 2002:808:808::1 2620:4f:8000::1
3fff::1 4000::1 5f00::1 fc00::1 fd12:3456:789a::1 fe80::1 fe80::1%eth0 2606:4700::1%eth0 fec0::1 ff02::1 ff0e::1
"""
OPEN = (
    "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 172.15.0.1 172.32.0.1 \
192.0.1.1 192.167.1.1 198.17.1.1 198.20.0.1 223.255.255.255 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450::1"
)

BAD_URLS = [
    "",
    "game.example/hook",
    "//game.example/hook",
    "/hook",
    "ftp://game.example/",
    "file:///etc/passwd",
    "gopher://game.example/",
    "javascript:alert(1)",
    "unix:///run/some.sock",
    "http:/game.example/",
    "http:game.example",
    "http://",
    "https:///hook",
    "http://:80/",
    "https://user@game.example/",
    "https://user:secret@game.example/",
    "https://game.example@127.0.0.1/",
    "https://game.example:443@127.0.0.1/",
    "https://@game.example/",
    "https://game.example/#part",
    "https://127.0.0.1#@game.example/",
    "https://game.example\\@127.0.0.1/",
    "https://game.example/a b",
    " https://game.example/",
    "https://game.example/\r\nX-Injected: 1",
    "https://game.example/\n",
    "https://game.example/\x00",
    "https://game.example/é",
    "https://gamé.example/",
    "https://①②⑦.⓪.⓪.①/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://game。example/",
    "https://%31%32%37.0.0.1/",
    "https://game.example:0/",
    "https://game.example:65536/",
    "https://game.example:-1/",
    "https://game.example:80a/",
    "https://game.example:/",
    "https://game.example:0443/",
    "https://game.example./",
    "https://.game.example/",
    "https://game..example/",
    "https://-game.example/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://127.0.0.1./",
    "https://127.0.0.0x1/",
    "https://1.1.1.256/",
    "https://game.example.123/",
    "https://[::1/",
    "https://::1/",
    "https://[127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[::1]evil/",
    "https://[::g]/",
    "https://[]/",
    "https://game.example/" + "a" * 2_000,
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 130 + "example/",
]


@pytest.mark.parametrize("address", CLOSED.split())
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN.split())
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


def test_what_is_no_address_is_not_public() -> None:
    for text in ("", "localhost", "127.1", "1.1.1.1 ", "1.1.1.1/32", "0x1.1.1.1"):
        assert not is_public(text)


@pytest.mark.parametrize("url", BAD_URLS)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        read_webhook_url(url)
    assert [error.path for error in refusal.value.errors] == ["url"]


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "target"),
    [
        ("https://game.example", "game.example", 443, "game.example", "/"),
        ("HTTPS://Game.Example:443/a?b=c", "game.example", 443, "game.example", "/a?b=c"),
        ("http://game.example:8080/a%20b", "game.example", 8080, "game.example:8080", "/a%20b"),
        ("http://xn--gam-dma.example/?", "xn--gam-dma.example", 80, "xn--gam-dma.example", "/"),
        ("http://game_server:9/x", "game_server", 9, "game_server:9", "/x"),
        ("https://[2606:4700::1]:8443/", "2606:4700::1", 8443, "[2606:4700::1]:8443", "/"),
        ("https://1.1.1.1/", "1.1.1.1", 443, "1.1.1.1", "/"),
    ],
)
def test_urls_that_are_taken(url: str, host: str, port: int, authority: str, target: str) -> None:
    assert read_webhook_url(url)[1:] == (host, port, authority, target)


class Names:
    """A resolver whose answers change with each question, as those of an attacker's name server may."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Network(httpcore.AsyncNetworkBackend):
    """A network that says where it was asked to connect; only `alive` answers, with 200."""

    def __init__(self, alive: str = "") -> None:
        self.alive = alive
        self.connected: list[tuple[str, int]] = []
        self.server_names: list[str | None] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append((host, port))
        if host != self.alive:
            raise httpcore.ConnectError("refused")
        return Stream(self, [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])


class Stream(httpcore.AsyncMockStream):
    """A connection that takes whatever name TLS is asked for, and notes it."""

    def __init__(self, network: Network, parts: list[bytes]) -> None:
        super().__init__(parts)
        self.network = network
        self.sent = b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.sent += buffer
        assert b"Host: game.example\r\n" in self.sent

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        self.network.server_names.append(server_hostname)
        return self


async def create(hooks: Hooks, url: str, names: Names) -> None:
    await hooks.new_manager(names).create(msgspec.json.encode({"url": url}))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_a_url_that_leads_inside_is_not_taken(hooks: Hooks, address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidError, match="not public"):
        await create(hooks, f"http://{literal}/", Names([address]))
    with pytest.raises(InvalidError, match="not public"):
        await create(hooks, "http://game.example/", Names([address]))
    with pytest.raises(InvalidError, match="not public"):
        await create(hooks, "http://game.example/", Names(["1.1.1.1", address]))


async def test_localhost_by_the_resolver_of_the_system(hooks: Hooks) -> None:
    manager = hooks.new_manager()
    for host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0"):
        with pytest.raises(InvalidError, match="not public"):
            await manager.create(msgspec.json.encode({"url": f"http://{host}/"}))


async def test_a_host_that_does_not_resolve_is_not_taken(hooks: Hooks) -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    for names in (unknown, Names([])):
        with pytest.raises(InvalidError, match="does not resolve"):
            await hooks.new_manager(names).create(b'{"url":"https://nobody.example/"}')


async def test_a_name_that_points_inside_later_is_refused(hooks: Hooks) -> None:
    names = Names(["1.1.1.1"], ["127.0.0.1"])
    await create(hooks, hooks.receiver.url(host="game.example"), names)
    await hooks.add({})
    await hooks.round(hooks.new_deliverer(names, allow_private=False))
    assert hooks.receiver.received == []
    (delivery,) = await hooks.deliveries("pending")
    assert delivery.last_error is not None
    assert delivery.last_error.startswith("address refused")
    assert "127.0.0.1" not in delivery.last_error
    # The same way is open where the setting allows it: what stood in the way was the guard.
    await hooks.make_due()
    await hooks.round(hooks.new_deliverer(names))
    assert hooks.receiver.received[0].headers["host"] == f"game.example:{hooks.receiver.port}"


async def test_the_address_checked_is_the_one_connected_to(hooks: Hooks) -> None:
    """The name points inside from the second question on: one question is asked, and its answer is used."""
    names = Names(["1.1.1.1"], ["1.1.1.2", "1.1.1.3"], ["127.0.0.1"])
    network = Network(alive="1.1.1.3")
    await create(hooks, "https://game.example/hook", names)
    await hooks.add({})
    await hooks.round(hooks.new_deliverer(names, allow_private=False, network=network))
    assert network.connected == [("1.1.1.2", 443), ("1.1.1.3", 443)]
    assert network.server_names == ["game.example"]
    assert names.asked == [("game.example", 443)] * 2, "once when created, once when sent"
    assert len(await hooks.deliveries("delivered")) == 1


async def test_a_url_stored_while_private_ones_were_allowed_is_refused_afterwards(hooks: Hooks) -> None:
    await hooks.create()
    await hooks.add({})
    await hooks.round(hooks.new_deliverer(allow_private=False))
    assert hooks.receiver.received == []
    (delivery,) = await hooks.deliveries("pending")
    assert delivery.last_error is not None
    assert "not public" in delivery.last_error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(hooks: Hooks, status: int) -> None:
    await hooks.create("/hook")
    hooks.receiver.statuses["/hook"] = status
    hooks.receiver.headers["/hook"] = {"Location": hooks.receiver.url("/inside")}
    await hooks.add({})
    await hooks.round(hooks.new_deliverer())
    assert [request.path for request in hooks.receiver.received] == ["/hook"]
    (delivery,) = await hooks.deliveries("pending")
    assert delivery.last_status == status
    assert delivery.last_error == f"the answer was {status}; redirects are not followed"


async def test_proxies_of_the_environment_are_not_used(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    await hooks.create()
    await hooks.add({})
    await hooks.round(hooks.new_deliverer())
    assert len(hooks.receiver.received) == 1


async def test_nothing_goes_to_a_unix_socket() -> None:
    network = GuardedNetwork(AddressGuard(Names(["1.1.1.1"]), allow_private=True), httpcore.AnyIOBackend())
    with pytest.raises(NotImplementedError):
        await network.connect_unix_socket("/run/some.sock")


async def test_mixed_answers_are_refused_as_a_whole() -> None:
    guard = AddressGuard(Names(["1.1.1.1", "127.0.0.1"]), allow_private=False)
    with pytest.raises(AddressRefusedError):
        await guard.addresses("game.example", 443)
