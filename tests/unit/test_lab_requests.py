"""Requests name the server that they are for, which a proxy in front of several may choose by."""

import pytest

from grandstand.lab.http_connection import authority
from grandstand.lab.load_model import READS_A_GAME, LoadModel
from grandstand.lab.traffic import Names, Traffic


def test_every_request_of_the_load_names_its_server() -> None:
    traffic = Traffic(LoadModel(1_000), Names("run"), "key", "play.example:81", 1)
    requests = [traffic.batch().request, *(traffic.read(kind, "p1").request for kind in READS_A_GAME)]
    for request in requests:
        assert request.count(b"Host: ") == 1
        assert b"\r\nHost: play.example:81\r\n" in request


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [("play.example", 80, "play.example"), ("127.0.0.1", 8080, "127.0.0.1:8080"), ("::1", 9, "[::1]:9")],
)
def test_a_server_is_named_as_in_its_address(host: str, port: int, name: str) -> None:
    assert authority(host, port) == name
