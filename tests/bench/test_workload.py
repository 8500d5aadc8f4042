from collections import Counter

import msgspec
from bench.workload import Workload, batches, body_of


def test_the_mix_is_the_one_promised():
    events = Workload(20_000, seed=1).events(40_000)

    types = Counter(event.event_type for event in events)
    assert 0.23 < types["game_ended"] / len(events) < 0.27
    assert len({event.id for event in events}) == len(events)
    assert [event.id for event in events] == sorted(event.id for event in events)
    assert {event.id.version for event in events} == {7}
    sizes = [len(msgspec.json.encode(event.payload)) for event in events]
    assert min(sizes) >= 50
    assert max(sizes) <= 110


def test_players_follow_a_power_law():
    users = Counter(event.user_id for event in Workload(20_000, seed=1).events(100_000))

    busiest = [count for _, count in users.most_common(200)]
    assert 30 < busiest[0] / 5 < 110  # five events is the average
    assert 0.2 < sum(busiest) / 100_000 < 0.35


def test_the_same_seed_gives_the_same_happenings():
    one, other = (Workload(100, seed=7).events(50) for _ in range(2))

    assert [(event.user_id, event.payload) for event in one] == [(event.user_id, event.payload) for event in other]


def test_bodies_hold_every_event_once():
    events = Workload(100, seed=7).events(250)

    bodies = [msgspec.json.decode(body_of(batch)) for batch in batches(events, 100)]
    assert [len(body["events"]) for body in bodies] == [100, 100, 50]
    assert [event["id"] for body in bodies for event in body["events"]] == [str(event.id) for event in events]
