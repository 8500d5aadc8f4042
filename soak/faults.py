"""The faults, each by its kind: what is struck, for how long, and in which layout of the tree it can be."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psutil

from soak.cluster import ClusteredEngines, Node
from soak.inspection import Inspector
from soak.proxy import Mode, Proxy
from soak.small_disk import can_mount
from soak.tree import Layout, Tree

PAUSE_SECONDS = (0.5, 3.0)
AWAY_SECONDS = (0.3, 2.5)
JUMP_SECONDS = (30.0, 300.0)
NODE_AWAY_SECONDS = (0.5, 1.5, 4.0, 8.0)
"""Some shorter and some longer than it takes until a replica takes over."""
FULL_SECONDS = (1.0, 6.0)
GONE_SECONDS = 30.0
TOLD_SECONDS = 30.0
ROLLED_SECONDS = 90.0
ENGINES = ("postgres", "valkey")
_CUTS_AT_ONCE = 4
_POLL_SECONDS = 0.02
MODES: tuple[Mode, ...] = ("cut", "delay", "mute")


@dataclass
class Strike:
    """What a fault may use. Times and targets come from `dice`.

    `over_at` (monotonic) is when healing could begin, for faults that return later than that.
    """

    tree: Tree
    inspector: Inspector
    dice: random.Random
    over_at: float | None = None
    gone: bytes = b""
    """What was in a stream that is gone: of that, and of nothing else, events may be missing."""
    failure: str = ""
    """What the product did not do about the fault."""


Action = Callable[[Strike], Awaitable[None]]
"""Strikes, and returns when the fault is over: what was cut is mended, what was stopped goes on."""


@dataclass(frozen=True)
class Fault:
    """One kind. `layout` of None: any."""

    kind: str
    action: Action
    layout: Layout | None = None
    is_short: bool = True
    """Whether it is for the short runs of `make test`."""

    def can_be_in(self, layout: Layout) -> bool:
        """Whether it can strike a tree of this layout; a cluster has all but those of one Valkey and of disks."""
        if layout == "cluster" and self.layout != "cluster":
            return self.layout != "disks" and "valkey" not in self.kind
        return self.layout in (None, layout)

    @property
    def moves_clock(self) -> bool:
        """Whether what happens in time is not what the harness's clock says."""
        return self.kind.startswith("clock-")


def _kill(role: str) -> Action:
    async def action(strike: Strike) -> None:
        await _end(strike, role, signal.SIGKILL)

    return action


def _terminate(role: str) -> Action:
    async def action(strike: Strike) -> None:
        await _end(strike, role, signal.SIGTERM)

    return action


def _kill_twice(role: str) -> Action:
    async def action(strike: Strike) -> None:
        _signal(strike, role, signal.SIGKILL)
        await asyncio.sleep(strike.dice.uniform(0.2, 1.5))
        _signal(strike, role, signal.SIGKILL)

    return action


def _pause(role: str) -> Action:
    async def action(strike: Strike) -> None:
        targets = _targets(strike, role)
        if role == "postgres":
            targets += strike.tree.named("backend")
        for target in targets:
            _send(target, signal.SIGSTOP)
        try:
            await asyncio.sleep(strike.dice.uniform(*PAUSE_SECONDS))
        finally:
            for target in targets:
                _send(target, signal.SIGCONT)

    return action


async def _kill_supervisor(strike: Strike) -> None:
    _signal(strike, "supervisor", signal.SIGKILL)
    await asyncio.sleep(strike.dice.choice((0.0, 0.3, 1.5)))
    await _start_again(strike)


async def _kill_tree(strike: Strike) -> None:
    strike.tree.kill()
    await _start_again(strike)


async def _restart_tree(strike: Strike) -> None:
    await strike.tree.stop()
    await _start_again(strike)


async def _start_again(strike: Strike) -> None:
    strike.over_at = time.monotonic()
    await strike.tree.start()


def _disturb(which: str, mode: Mode) -> Action:
    async def action(strike: Strike) -> None:
        proxy = _proxy(strike.tree, which)
        proxy.set(mode, strike.dice.uniform(0.05, 0.4))
        try:
            await asyncio.sleep(strike.dice.uniform(*AWAY_SECONDS))
        finally:
            proxy.set("pass")

    return action


def _flicker(which: str) -> Action:
    async def action(strike: Strike) -> None:
        proxy = _proxy(strike.tree, which)
        try:
            for _ in range(_CUTS_AT_ONCE):
                proxy.set("cut")
                await asyncio.sleep(strike.dice.uniform(0.02, 0.2))
                proxy.set("pass")
                await asyncio.sleep(strike.dice.uniform(0.05, 0.4))
        finally:
            proxy.set("pass")

    return action


async def _lose_index(strike: Strike) -> None:
    await strike.inspector.lose_indexes(strike.dice.choice(("", "", ":ranks", ":holders")))


async def _lose_stream(strike: Strike) -> None:
    ((before,),) = await strike.inspector.fetch("losses")
    workers = strike.tree.named("worker")
    for worker in workers:
        _send(worker, signal.SIGSTOP)
    try:
        # So that something is in them: workers leave little for longer than a moment.
        await asyncio.sleep(strike.dice.uniform(0.2, 0.6))
        strike.gone = await strike.inspector.lose_streams()
    finally:
        for worker in workers:
            _send(worker, signal.SIGCONT)
    deadline = time.monotonic() + TOLD_SECONDS
    while time.monotonic() < deadline:
        ((told,),) = await strike.inspector.fetch("losses")
        if told >= before + strike.inspector.streams:
            return
        await asyncio.sleep(_POLL_SECONDS)
    strike.failure = f"that the streams are gone is not told within {TOLD_SECONDS:.0f} s"


async def _roll(strike: Strike) -> None:
    """Let the supervisor replace every child, one after the other, and wait until the last one is gone."""
    old = [process for role in ("http", "worker", "scheduler") for process in strike.tree.named(role)]
    _signal(strike, "supervisor", signal.SIGUSR2)
    deadline = time.monotonic() + ROLLED_SECONDS
    while time.monotonic() < deadline:
        if not any(map(_is_there, old)):
            return
        await asyncio.sleep(_POLL_SECONDS)
    strike.failure = f"SIGUSR2 did not replace every child within {ROLLED_SECONDS:.0f} s"


def _fill_disk(which: str) -> Action:
    async def action(strike: Strike) -> None:
        disk = strike.tree.disk(which)
        await asyncio.to_thread(disk.fill)
        try:
            await asyncio.sleep(strike.dice.uniform(*FULL_SECONDS))
        finally:
            await asyncio.to_thread(disk.free)

    return action


def _jump(sign: int) -> Action:
    async def action(strike: Strike) -> None:
        strike.tree.set_clock(sign * strike.dice.uniform(*JUMP_SECONDS))
        try:
            await asyncio.sleep(strike.dice.uniform(*AWAY_SECONDS))
        finally:
            strike.tree.set_clock(0.0)

    return action


async def _kill_node(strike: Strike) -> None:
    node = _node(strike)
    await node.kill()
    try:
        await asyncio.sleep(strike.dice.choice(NODE_AWAY_SECONDS))
    finally:
        strike.over_at = time.monotonic()
        await node.start()


async def _pause_node(strike: Strike) -> None:
    process = _node(strike).process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(strike.dice.choice(NODE_AWAY_SECONDS))
    finally:
        process.send_signal(signal.SIGCONT)


def _disturb_node(mode: Mode) -> Action:
    """Strike all ways to a node, its replica's included, while the others see that it lives: nobody takes its place."""

    async def action(strike: Strike) -> None:
        proxy = _node(strike).proxy
        proxy.set(mode, strike.dice.uniform(0.05, 0.4))
        try:
            await asyncio.sleep(strike.dice.choice(NODE_AWAY_SECONDS))
        finally:
            proxy.set("pass")

    return action


async def _kill_node_for_good(strike: Strike) -> None:
    """Kill a primary and leave it dead until its replica has taken over and serves: that needs nobody's hand."""
    cluster = _cluster(strike)
    await cluster.wait_until_whole()
    primaries = [node for node in cluster.nodes if (await node.ask("ROLE"))[0] == b"master"]
    doomed = strike.dice.choice(primaries)
    heir = await cluster.replica_of(doomed)
    await doomed.kill()
    try:
        await cluster.wait_until_primary(heir)
    finally:
        # Its successor alone has no replica to confirm a write: until this node follows it, writes are refused.
        strike.over_at = time.monotonic()
        await doomed.start()


async def _fail_over(strike: Strike) -> None:
    cluster = _cluster(strike)
    await cluster.wait_until_whole()
    replicas = [node for node in cluster.nodes if (await node.ask("ROLE"))[0] == b"slave"]
    chosen = strike.dice.choice(replicas)
    await chosen.ask("CLUSTER", "FAILOVER")
    await cluster.wait_until_primary(chosen)


async def _restart_nodes(strike: Strike) -> None:
    """Restart every node as an upgrade of Valkey does: none before the one before is back in its place."""
    cluster = _cluster(strike)
    for node in cluster.nodes:
        await cluster.wait_until_whole()
        await node.end()
        await node.start()
    strike.over_at = time.monotonic()
    await cluster.wait_until_whole()


def _cluster(strike: Strike) -> ClusteredEngines:
    assert isinstance(strike.tree.engines, ClusteredEngines)
    return strike.tree.engines


def _node(strike: Strike) -> Node:
    return strike.dice.choice(_cluster(strike).nodes)


async def _nothing(strike: Strike) -> None:
    await asyncio.sleep(strike.dice.uniform(0.1, 0.3))


FAULTS = {
    fault.kind: fault
    for fault in (
        *(Fault(f"kill-{role}", _kill(role)) for role in ("http", "worker", "scheduler", "valkey", "postgres")),
        Fault("kill-backend", _kill("backend")),
        Fault("kill-guardian", _kill("guardian")),
        Fault("kill-supervisor", _kill_supervisor, "embedded"),
        Fault("kill-tree", _kill_tree, "embedded"),
        Fault("kill-worker-twice", _kill_twice("worker")),
        Fault("kill-valkey-twice", _kill_twice("valkey")),
        *(Fault(f"pause-{role}", _pause(role)) for role in ("http", "worker", "scheduler", "valkey", "postgres")),
        Fault("pause-supervisor", _pause("supervisor")),
        *(Fault(f"restart-{role}", _terminate(role)) for role in ("http", "worker", "scheduler")),
        Fault("restart-tree", _restart_tree, "embedded"),
        Fault("restart-rolling", _roll, is_short=False),
        Fault("cut-http", _disturb("http", "cut")),
        Fault("flicker-http", _flicker("http")),
        Fault("mute-http", _disturb("http", "mute")),
        Fault("delay-http", _disturb("http", "delay")),
        *(
            Fault(f"{mode}-{which}", _disturb(which, mode), "proxied")
            for which in ("postgres", "valkey")
            for mode in MODES
        ),
        *(Fault(f"flicker-{which}", _flicker(which), "proxied") for which in ("postgres", "valkey")),
        Fault("kill-node", _kill_node, "cluster", is_short=False),
        Fault("pause-node", _pause_node, "cluster", is_short=False),
        *(Fault(f"{mode}-node", _disturb_node(mode), "cluster", is_short=False) for mode in MODES),
        Fault("kill-primary", _kill_node_for_good, "cluster", is_short=False),
        Fault("failover-node", _fail_over, "cluster", is_short=False),
        Fault("restart-nodes", _restart_nodes, "cluster", is_short=False),
        *(
            Fault(f"full-disk-{which}", _fill_disk(which), "disks", is_short=False)
            for which in ("postgres", "valkey")
            # Otherwise there is no disk to fill: a harness without root has every other fault.
            if can_mount()
        ),
        Fault("lose-index", _lose_index),
        Fault("lose-stream", _lose_stream, is_short=False),
        Fault("clock-forward", _jump(1)),
        Fault("clock-back", _jump(-1)),
        Fault("calm", _nothing),
    )
}


def _targets(strike: Strike, role: str) -> list[psutil.Process]:
    found = strike.tree.named(role)
    return [strike.dice.choice(sorted(found, key=lambda process: process.pid))] if found else []


async def _end(strike: Strike, role: str, number: signal.Signals) -> None:
    """Signal one process and wait until it is gone: one that still answers would look like one that has healed.

    A guardian's engine goes with it, when the supervisor notices.
    """
    strike.over_at = time.monotonic()
    targets = _targets(strike, role)
    doomed = list(targets)
    for target in targets:
        if role == "guardian":
            with contextlib.suppress(psutil.Error):
                doomed += [child for child in target.children() if child.name().startswith(ENGINES)]
        _send(target, number)
    deadline = time.monotonic() + GONE_SECONDS
    while any(map(_is_there, doomed)) and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)


def _is_there(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal(strike: Strike, role: str, number: signal.Signals) -> None:
    for target in _targets(strike, role):
        _send(target, number)


def _send(target: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        target.send_signal(number)


def _proxy(tree: Tree, which: str) -> Proxy:
    if which == "http":
        return tree.http
    assert tree.engines is not None
    return tree.engines.postgres if which == "postgres" else tree.engines.valkey
