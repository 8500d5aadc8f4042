"""What is said of players: by whom, within which limits, and shown on boards at once."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.conftest import Site, problem
from tests.support.core import event

pytestmark = pytest.mark.anyio


def path_of(user_id: str) -> str:
    return f"/api/players/{quote(user_id, safe='')}"


async def test_a_player_is_kept(site: Site) -> None:
    problem(await site.get(path_of("new/ann"), "server"), 404, "player_not_found")
    said = {"display_name": "Ann 😀", "country": "DE", "metadata": {"clan": {"id": 7}}}
    answer = await site.put(path_of("new/ann"), said)
    assert answer.status_code == 200
    assert answer.json() | said | {"user_id": "new/ann"} == answer.json()
    read = (await site.get(path_of("new/ann"), "server")).json()
    assert read | answer.json() == read
    assert (read["is_banned"], read["first_seen_at"], read["ranks"], read["prizes"]) == (False, None, [], [])
    again = (await site.put(path_of("new/ann"), {"display_name": "Annie"})).json()
    assert (again["display_name"], again["country"], again["metadata"]) == ("Annie", None, {})
    assert again["created_at"] == answer.json()["created_at"]


async def test_who_may_say_and_read_what(site: Site) -> None:
    ann, bob = await site.token("say-ann"), await site.token("say-bob")
    body = {"display_name": "Ann"}
    problem(await site.put(path_of("say-ann"), body, None), 401, "unauthorized")
    problem(await site.get(path_of("say-ann")), 401, "unauthorized")
    for who in ("client", bob):
        problem(await site.put(path_of("say-ann"), body, who), 403, "forbidden")
        problem(await site.get(path_of("say-ann"), who), 403, "forbidden")
    await site.put(path_of("say-ann"), body | {"metadata": {"vip": True}})
    problem(await site.put(path_of("say-ann"), body | {"metadata": {}}, ann), 403, "forbidden")
    mine = (await site.put(path_of("say-ann"), {"display_name": "Me", "country": "FR"}, ann)).json()
    assert (mine["display_name"], mine["country"], mine["metadata"]) == ("Me", "FR", {"vip": True})
    read = (await site.get(path_of("say-ann"), ann)).json()
    assert read | mine == read


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"display_name": ""}, "display_name"),
        ({"display_name": "  "}, "display_name"),
        ({"display_name": "x" * 65}, "display_name"),
        ({"display_name": "a\x00"}, "display_name"),
        ({"display_name": "a\u202eb"}, "display_name"),
        ({"display_name": 5}, "display_name"),
        ({"country": "de"}, "country"),
        ({"country": "DEU"}, "country"),
        ({"country": ""}, "country"),
        ({"metadata": []}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata": {"x": "y" * 5000}}, "metadata"),
        ({"metadata": {"x": "\x00"}}, "metadata"),
        ({"nickname": "x"}, "nickname"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, dict) else "",
)
async def test_what_cannot_be_said(site: Site, values: dict[str, Any], field: str) -> None:
    body = problem(await site.put(path_of("odd"), values), 422, "invalid")
    assert [each["path"] for each in body["errors"]] == [field]
    problem(await site.get(path_of("odd"), "server"), 404, "player_not_found")


@pytest.mark.parametrize("user_id", ["%00", "%FF", "u" * 256, "%0A"])
async def test_users_that_cannot_be(site: Site, user_id: str) -> None:
    problem(await site.get(f"/api/players/{user_id}", "server"), 422, "invalid")
    problem(await site.put(f"/api/players/{user_id}", {"display_name": "x"}), 422, "invalid")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"display_name":"\\ud800"}'])
async def test_broken_bodies(site: Site, body: bytes) -> None:
    answer = await site.client.put("/api/players/odd", content=body, headers=site.headers("server"))
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_boards_show_names(site: Site) -> None:
    await site.core.apply(event("named", 7), event("nameless", 6))
    await site.put(path_of("named"), {"display_name": "Nora"})
    path = "/api/leaderboards/global"

    async def names() -> list[dict[str, Any]]:
        page, lookup = (
            (await site.get(path)).json()["entries"],
            (await site.post(f"{path}/lookup", {"user_ids": ["named", "nameless"]})).json()["entries"],
        )
        nearby = (await site.get(f"{path}/users/named/nearby")).json()["entries"]
        found = [{each["user_id"]: each["display_name"] for each in entries} for entries in (page, lookup, nearby)]
        own = (await site.get(f"{path}/users/named")).json()
        return [*found, {own["user_id"]: own["display_name"]}]

    for shown in await names():
        assert shown["named"] == "Nora"
        assert shown.get("nameless") is None
    await site.put(path_of("named"), {"display_name": "Nora II"})
    assert {shown["named"] for shown in await names()} == {"Nora II"}
