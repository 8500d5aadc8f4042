"""From the outbox to a receiver: signed, at least once, retried for a day, given up, replayed."""

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from grandstand.domain.errors import ConflictError, NotFoundError
from grandstand.domain.webhooks import RETRY_DELAYS_SECONDS, new_secret, retry_delay_seconds, sign, write_message
from grandstand.workers.webhook_dispatcher import WebhookPruner
from tests.support.waiting import eventually_async
from tests.webhooks.conftest import Hooks

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]


def test_the_signature_is_that_of_the_specification() -> None:
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert new_secret() != new_secret()


def test_the_retries_take_a_day() -> None:
    randomly = Random(1)
    waits = [retry_delay_seconds(RETRY_DELAYS_SECONDS, failures, randomly) for failures in range(1, 10)]
    assert waits.pop() is None
    for wait, usual in zip(waits, RETRY_DELAYS_SECONDS, strict=True):
        assert wait is not None
        assert 0.8 * usual <= wait <= 1.2 * usual
    assert 24 * 3600 < sum(RETRY_DELAYS_SECONDS) < 25 * 3600


def test_a_body_is_the_same_at_every_attempt() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    body = write_message("prize.claimed", moment, '{"amount": 5}')
    assert body == b'{"type":"prize.claimed","timestamp":"2026-01-31T12:00:00Z","data":{"amount": 5}}'


async def test_a_webhook_arrives_signed(hooks: Hooks) -> None:
    created = await hooks.create("/hook?game=1")
    (event_id,) = await hooks.add({"user_id": "ädä", "amount": 2**53 - 1})
    async with hooks.dispatching():
        await eventually_async(lambda: hooks.deliveries("delivered"))
    (request,) = hooks.receiver.received
    request.verify(created.secret)
    assert request.path == "/hook?game=1"
    assert request.webhook_id == str(event_id)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{hooks.receiver.port}"
    assert request.message["type"] == "prize.awarded"
    assert request.message["data"] == {"user_id": "ädä", "amount": 2**53 - 1}
    assert datetime.fromisoformat(request.message["timestamp"]).tzinfo is not None
    with pytest.raises(AssertionError):
        request.verify(new_secret())
    (delivery,) = await hooks.deliveries()
    assert (delivery.attempts, delivery.last_status, delivery.last_error) == (1, 200, None)


async def test_only_who_asked_is_told(hooks: Hooks) -> None:
    await hooks.create("/all")
    await hooks.create("/claims", "prize.claimed", "tournament.settled")
    await hooks.add({}, event_type="prize.awarded")
    await hooks.add({}, event_type="prize.claimed")
    await hooks.round(hooks.new_deliverer())
    assert len(hooks.receiver.at("/all")) == 2
    assert [request.message["type"] for request in hooks.receiver.at("/claims")] == ["prize.claimed"]


async def test_what_is_rolled_back_is_not_told(hooks: Hooks) -> None:
    await hooks.create()

    async def fail() -> None:
        async with hooks.database.transaction() as connection:
            await hooks.outbox.add(connection, "tournament.started", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await hooks.deliveries() == []
    assert await hooks.database.pool.fetchval("SELECT count(*) FROM webhook_events") == 0


async def test_a_later_endpoint_gets_later_events_only(hooks: Hooks) -> None:
    await hooks.add({"number": 1})
    await hooks.create()
    await hooks.add({"number": 2})
    await hooks.round(hooks.new_deliverer())
    assert [request.message["data"] for request in hooks.receiver.received] == [{"number": 2}]


async def test_a_thousand_events_in_one_statement_and_each_delivered_once(hooks: Hooks) -> None:
    await hooks.create()
    event_ids = await hooks.add(*({"number": number} for number in range(1_000)))
    assert event_ids == sorted(set(event_ids))
    async with hooks.dispatching(hooks.new_deliverer(), hooks.new_deliverer()):
        await eventually_async(lambda: len(hooks.receiver.received) >= 1_000, 60)
    assert [str(event_id) for event_id in event_ids] == sorted(
        request.webhook_id for request in hooks.receiver.received
    )
    assert {delivery.status for delivery in await hooks.deliveries()} == {"delivered"}
    assert hooks.receiver.most_open["/hook"] <= 16


async def test_a_claim_does_not_wait_for_another(hooks: Hooks) -> None:
    await hooks.create()
    await hooks.add(*({"number": number} for number in range(10)))
    async with hooks.database.transaction() as connection:
        first = await hooks.store.claim_due(connection, (), batch_max=8, claim_seconds=60)
        (second,) = (await asyncio.wait_for(hooks.new_deliverer().claim(()), 5)).values()
    assert (len(first), len(second)) == (8, 2)
    assert not {claim.event_id for claim in first} & {claim.event_id for claim in second}


async def test_retries_keep_id_and_body_and_end_in_a_dead_letter(hooks: Hooks) -> None:
    created = await hooks.create()
    hooks.receiver.statuses["/hook"] = 500
    await hooks.add({"amount": 1})
    deliverer = hooks.new_deliverer()
    for attempt in range(1, len(RETRY_DELAYS_SECONDS) + 1):
        tried_after = await hooks.now()
        assert await hooks.round(deliverer) == 1
        tried_before = await hooks.now()
        (delivery,) = await hooks.deliveries("pending")
        assert (delivery.attempts, delivery.last_status, delivery.last_error) == (attempt, 500, "the answer was 500")
        assert delivery.next_attempt_at is not None
        usual = timedelta(seconds=RETRY_DELAYS_SECONDS[attempt - 1])
        assert tried_after + 0.79 * usual < delivery.next_attempt_at < tried_before + 1.21 * usual
        # The first may be due by now, if the machine has looked away for so long.
        if attempt > 1:
            assert await hooks.round(deliverer) == 0, "not due before its time"
        await hooks.make_due()
    assert await hooks.round(deliverer) == 1
    (dead,) = await hooks.deliveries("dead")
    assert (dead.attempts, dead.next_attempt_at) == (len(RETRY_DELAYS_SECONDS) + 1, None)
    await hooks.make_due()
    assert await hooks.round(deliverer) == 0
    assert len({(request.webhook_id, request.body) for request in hooks.receiver.received}) == 1
    for request in hooks.receiver.received:
        request.verify(created.secret)


async def test_a_replay_sends_again_under_the_same_id(hooks: Hooks) -> None:
    await hooks.create()
    hooks.receiver.statuses["/hook"] = 500
    await hooks.add({})
    await hooks.round(hooks.new_deliverer(retry_delays_seconds=()))
    (dead,) = await hooks.deliveries("dead")
    hooks.receiver.statuses.clear()
    replayed = await hooks.manager.replay(str(dead.event_id), str(dead.endpoint_id))
    assert (replayed.status, replayed.attempts) == ("pending", 0)
    await hooks.round(hooks.new_deliverer())
    assert [delivery.status for delivery in await hooks.deliveries()] == ["delivered"]
    await hooks.manager.replay(str(dead.event_id), str(dead.endpoint_id))
    await hooks.round(hooks.new_deliverer())
    assert [request.webhook_id for request in hooks.receiver.received] == [str(dead.event_id)] * 3
    with pytest.raises(NotFoundError, match="no such delivery"):
        await hooks.manager.replay(str(dead.endpoint_id), str(dead.endpoint_id))
    with pytest.raises(NotFoundError):
        await hooks.manager.replay("x", "y")


async def test_410_disables_and_gives_up_what_waits(hooks: Hooks) -> None:
    created = await hooks.create("/gone")
    await hooks.create("/there")
    hooks.receiver.statuses["/gone"] = 410
    await hooks.add(*({"number": number} for number in range(20)))
    async with hooks.dispatching():
        await eventually_async(lambda: hooks.deliveries("dead"))
        await eventually_async(lambda: len(hooks.receiver.at("/there")) == 20)
    assert len(await hooks.deliveries("dead")) == 20
    assert len(hooks.receiver.at("/gone")) == 8, "a batch, and nothing after it"
    (event_id,) = await hooks.add({"number": 20})
    (kept,) = [each for each in await hooks.deliveries("dead") if each.event_id == event_id]
    assert (kept.endpoint_id, kept.attempts, kept.last_error) == (created.id, 0, "the endpoint was disabled")
    dead = (await hooks.deliveries("dead"))[0]
    with pytest.raises(ConflictError, match="disabled"):
        await hooks.manager.replay(str(dead.event_id), str(dead.endpoint_id))
    with pytest.raises(ConflictError, match="disabled"):
        await hooks.manager.test(str(created.id))
    assert (await hooks.manager.enable(str(created.id))).disabled_at is None
    hooks.receiver.statuses.clear()
    await hooks.manager.replay(str(dead.event_id), str(dead.endpoint_id))
    await hooks.round(hooks.new_deliverer())
    assert hooks.receiver.at("/gone")[-1].webhook_id == str(dead.event_id)
    await hooks.manager.replay(str(event_id), str(created.id))
    await hooks.round(hooks.new_deliverer())
    assert hooks.receiver.at("/gone")[-1].message["data"] == {"number": 20}


async def test_a_long_disabled_endpoint_collects_nothing(hooks: Hooks) -> None:
    await hooks.create()
    await hooks.database.pool.execute("UPDATE webhook_endpoints SET disabled_at = now() - interval '31 days'")
    await hooks.add({})
    assert await hooks.deliveries() == []


async def test_a_slow_endpoint_holds_up_only_itself(hooks: Hooks) -> None:
    await hooks.create("/slow")
    await hooks.create("/fast")
    hooks.receiver.holding.add("/slow")
    await hooks.add(*({"number": number} for number in range(100)))
    async with hooks.dispatching(hooks.new_deliverer(timeout_seconds=20)):
        await eventually_async(lambda: len(hooks.receiver.at("/fast")) == 100)
        await eventually_async(lambda: len(hooks.receiver.at("/slow")) == 8)
        hooks.receiver.release.set()
        await eventually_async(lambda: len(hooks.receiver.at("/slow")) == 100)
    assert hooks.receiver.most_open["/slow"] == 8


async def test_no_answer_in_time_is_a_failure(hooks: Hooks) -> None:
    await hooks.create()
    hooks.receiver.holding.add("/hook")
    await hooks.add({})
    await hooks.round(hooks.new_deliverer(timeout_seconds=0.2))
    (delivery,) = await hooks.deliveries("pending")
    assert (delivery.last_status, delivery.last_error) == (None, "no answer within 0.2 seconds")


async def test_nobody_there_and_no_http_are_failures(hooks: Hooks) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # All of the request: what is left unread when a connection is closed breaks it, and the answer is lost.
        await hooks.receiver.read(reader)
        writer.write(b"SSH-2.0-something\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        hooks.receiver.port = server.sockets[0].getsockname()[1]
        await hooks.create()
        await hooks.add({})
        await hooks.round(hooks.new_deliverer())
    (delivery,) = await hooks.deliveries("pending")
    assert delivery.last_error == "the answer is not HTTP"
    await hooks.make_due()
    await hooks.round(hooks.new_deliverer())
    (delivery,) = await hooks.deliveries("pending")
    assert delivery.last_error is not None
    assert delivery.last_error.startswith("no connection")


async def test_an_endless_body_is_not_read(hooks: Hooks) -> None:
    await hooks.create()
    hooks.receiver.bodies["/hook"] = b"x" * 5_000_000
    await hooks.add({})
    await hooks.round(hooks.new_deliverer())
    assert len(await hooks.deliveries("delivered")) == 1


async def test_a_dispatcher_killed_amid_a_request_loses_nothing(hooks: Hooks) -> None:
    created = await hooks.create()
    hooks.receiver.holding.add("/hook")
    event_ids = await hooks.add({"number": 1}, {"number": 2})
    arguments = ("-m", "tests.webhooks.dispatcher_process", hooks.database_url)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT)
    await eventually_async(lambda: len(hooks.receiver.received) == 2, 20)
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert [delivery.attempts for delivery in await hooks.deliveries("pending")] == [0, 0]
    assert await hooks.round(hooks.new_deliverer()) == 0, "its claims stand until they run out"
    await hooks.make_due()
    hooks.receiver.holding.clear()
    async with hooks.dispatching():
        await eventually_async(lambda: len(hooks.receiver.received) == 4)
        await eventually_async(lambda: _are_delivered(hooks, 2))
    ids = [str(event_id) for event_id in event_ids]
    assert sorted(request.webhook_id for request in hooks.receiver.received) == sorted(ids * 2)
    assert {request.body for request in hooks.receiver.received[:2]} == {
        request.body for request in hooks.receiver.received[2:]
    }
    for request in hooks.receiver.received:
        request.verify(created.secret)


async def _are_delivered(hooks: Hooks, count: int) -> bool:
    return len(await hooks.deliveries("delivered")) == count


async def test_a_stop_lets_what_is_under_way_be_recorded(hooks: Hooks) -> None:
    await hooks.create()
    hooks.receiver.holding.add("/hook")
    await hooks.add({})
    async with hooks.dispatching():
        await eventually_async(lambda: hooks.receiver.received)
        asyncio.get_running_loop().call_later(0.1, hooks.receiver.release.set)
    assert len(await hooks.deliveries("delivered")) == 1


async def test_an_endpoint_deleted_meanwhile_fails_no_transaction(hooks: Hooks) -> None:
    created = await hooks.create()
    async with hooks.database.connection() as deleting, hooks.database.connection() as adding:
        transaction = deleting.transaction()
        await transaction.start()
        await hooks.store.delete_endpoint(deleting, created.id)
        added = asyncio.create_task(hooks.outbox.add(adding, "prize.claimed", {}))
        await eventually_async(lambda: _is_waiting(hooks))
        await transaction.commit()
        await added
    assert await hooks.deliveries() == []


async def _is_waiting(hooks: Hooks) -> bool:
    found: bool = await hooks.database.pool.fetchval(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return found


async def test_a_deleted_endpoint_hears_nothing_more(hooks: Hooks) -> None:
    created = await hooks.create()
    await hooks.add({})
    await hooks.manager.delete(str(created.id))
    assert await hooks.round(hooks.new_deliverer()) == 0
    with pytest.raises(NotFoundError):
        await hooks.manager.delete(str(created.id))


async def test_a_late_failure_does_not_undo_a_success(hooks: Hooks) -> None:
    await hooks.create()
    await hooks.add({})
    slow, quick = hooks.new_deliverer(claim_seconds=0.0), hooks.new_deliverer()
    (claimed,) = (await slow.claim(())).values()
    assert await hooks.round(quick) == 1
    hooks.receiver.statuses["/hook"] = 500
    await slow.deliver(claimed)
    (delivery,) = await hooks.deliveries()
    assert (delivery.status, delivery.attempts) == ("delivered", 1)


async def test_a_test_goes_to_one_endpoint(hooks: Hooks) -> None:
    created = await hooks.create("/one", "prize.claimed")
    await hooks.create("/other")
    sent = await hooks.manager.test(str(created.id))
    await hooks.round(hooks.new_deliverer())
    (request,) = hooks.receiver.received
    assert request.path == "/one"
    assert request.webhook_id == str(sent.event_id)
    assert request.message["type"] == "webhook.test"
    for unknown in ("nothing", "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7"):
        with pytest.raises(NotFoundError):
            await hooks.manager.test(unknown)


async def test_old_events_are_pruned(hooks: Hooks) -> None:
    await hooks.create()
    event_ids = await hooks.add(*({"number": number} for number in range(4)))
    age = "UPDATE webhook_events SET created_at = now() - make_interval(days => $2) WHERE event_id = $1"
    await hooks.database.pool.executemany(age, list(zip(event_ids, (2, 4, 4, 31), strict=True)))
    await hooks.database.pool.execute("UPDATE webhook_deliveries SET status = 'dead'")
    await hooks.database.pool.execute(
        "UPDATE webhook_deliveries SET status = 'delivered' WHERE event_id = ANY($1)", event_ids[:2]
    )
    await WebhookPruner(hooks.database, hooks.store).prune()
    assert {delivery.event_id for delivery in await hooks.deliveries()} == {event_ids[0], event_ids[2]}
