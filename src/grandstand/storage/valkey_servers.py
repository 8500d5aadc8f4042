"""What differs between one Valkey and many: asking each server, listening, and waiting for replicas.

A cluster has every key of a hash tag on one shard. Commands without a key go to a server that is named.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import choice
from typing import Any

from valkey.asyncio import Valkey
from valkey.asyncio.client import PubSub
from valkey.asyncio.cluster import PipelineCommand, ValkeyCluster
from valkey.exceptions import AskError, ClusterDownError, MovedError, TryAgainError, ValkeyClusterException
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import TimeoutError as ValkeyTimeoutError

Client = Any
"""A `Valkey` or a `ValkeyCluster`: no class of the library stands for both."""

_REDIRECTIONS_MAX = 5

_FIRST_LOOKS_MILLISECONDS = (1, 2, 4, 8, 16, 32, 64)
"""Each look asks the replicas how far they are. One that is asked while it writes tells of what was on disk before, and
speaks up by itself once a second only. Looks after the one that is content cost next to nothing."""


class NotReplicatedError(ValkeyConnectionError):
    """The write is on this server, but not on the disks of as many replicas as it must be; a fail-over may lose it."""


async def ask_primaries(client: Client, *command: Any) -> list[Any]:
    """Send a command without a key to every primary; return their replies.

    Raises:
        valkey.exceptions.ValkeyError: one of them is out of reach.
    """
    if not isinstance(client, ValkeyCluster):
        return [await client.execute_command(*command)]
    await client.initialize()
    return [await client.execute_command(*command, target_nodes=node) for node in client.get_primaries()]


def is_cluster(client: Client) -> bool:
    """Whether a client is one of a cluster."""
    return isinstance(client, ValkeyCluster)


async def beside(client: Client, key: str, others: Sequence[str]) -> dict[str, Any]:
    """Return the options with which a command that goes to all servers spares those that have only `others` now.

    It goes to the one that has `key`, and to those that have neither it nor one of the others.

    Raises:
        valkey.exceptions.ValkeyError: the server of `key` is out of reach.
    """
    if not isinstance(client, ValkeyCluster):
        return {}
    # A command of the client's own takes in where the slot is now.
    await client.execute_command("EXISTS", key)
    home = client.get_node_from_key(key)
    spared = []
    for other in others:
        # A slot that nobody has spares nobody.
        with suppress(ValkeyClusterException):
            spared.append(client.get_node_from_key(other))
    return {"target_nodes": [node for node in client.get_primaries() if node == home or node not in spared]}


async def publish(client: Client, channel: str, message: str | bytes) -> None:
    """Send a message to all who listen, to any server of a cluster.

    Raises:
        valkey.exceptions.ValkeyError: no server is within reach.
    """
    if not isinstance(client, ValkeyCluster):
        await client.publish(channel, message)
        return
    await client.initialize()
    # Always the same one while the shards stay: messages keep their order. While it is away others pass them on.
    home = client.get_node_from_key(channel)
    problem: Exception | None = None
    for node in (home, *(node for node in client.get_primaries() if node != home)):
        try:
            await client.execute_command("PUBLISH", channel, message, target_nodes=node)
        except (OSError, ValkeyConnectionError, ValkeyTimeoutError, ClusterDownError) as error:
            problem = error
        else:
            return
    raise problem or ValkeyConnectionError("The cluster has no server.")


@asynccontextmanager
async def subscription(client: Client) -> AsyncIterator[PubSub]:
    """Lend a subscription; a cluster passes messages to all of its servers, so any of them will do."""
    if not isinstance(client, ValkeyCluster):
        async with client.pubsub() as found:
            yield found
        return
    await client.initialize()
    node = choice(client.get_nodes())  # noqa: S311 - spreads the listeners, and leaves a dead server at the next try
    options = {
        name: value
        for name, value in node.connection_kwargs.items()
        if name in ("username", "password", "socket_timeout", "socket_connect_timeout", "socket_keepalive")
        or name.startswith("ssl_")
    }
    single: Valkey = Valkey(**options, ssl="ssl_cert_reqs" in options, host=node.host, port=int(node.port))
    async with single, single.pubsub() as found:
        yield found


async def run_replicated(
    client: Client, key: str | bytes, command: Sequence[Any], replicas: int, timeout_milliseconds: int
) -> Any:
    """Run a command that writes, and wait until it is on disk here and on `replicas` replicas.

    Both go over one connection: the server waits for what was written over the same one.

    Raises:
        NotReplicatedError: it is not on so many disks in time; it may be on some.
        valkey.exceptions.ValkeyError: the server is out of reach, or the command failed.
    """
    waits = [
        ("WAITAOF", 1, replicas, milliseconds)
        for milliseconds in (*_FIRST_LOOKS_MILLISECONDS, max(1, timeout_milliseconds - sum(_FIRST_LOOKS_MILLISECONDS)))
    ]
    if isinstance(client, ValkeyCluster):
        reply, synced = await _on_its_node(client, key, command, waits)
    else:
        async with client.pipeline(transaction=False) as pipe:
            pipe.execute_command(*command)
            for wait in waits:
                pipe.execute_command(*wait)
            # Not raised by the pipeline, which puts words of its own before the server's.
            replies = await pipe.execute(raise_on_error=False)
        for one in replies:
            if isinstance(one, Exception):
                raise one
        reply, synced = replies[0], replies[-1]
    if synced[0] < 1 or synced[1] < replicas:
        raise NotReplicatedError(f"{synced[1]} of {replicas} replicas have the write on disk.")
    return reply


async def _on_its_node(client: ValkeyCluster, key: str | bytes, command: Sequence[Any], waits: Sequence[Any]) -> Any:
    for _ in range(_REDIRECTIONS_MAX):
        await client.initialize()
        try:
            node = client.get_node_from_key(key)  # type: ignore[arg-type]
        except ValkeyClusterException:
            node = None
        if node is None:
            await _look_again(client, key)
            raise ValkeyConnectionError("No server has the slot.")
        all_of_it = [PipelineCommand(number, *one) for number, one in enumerate((command, *waits))]
        try:
            await node.execute_pipeline(all_of_it)
        except ValkeyConnectionError:
            await _look_again(client, key)
            raise
        if isinstance(all_of_it[0].result, (MovedError, AskError, TryAgainError)):
            # A command of the client's own takes in where the slot is now.
            await client.execute_command("EXISTS", key)
            continue
        for one in all_of_it:
            if isinstance(one.result, BaseException):
                if isinstance(one.result, (OSError, ValkeyConnectionError, ClusterDownError)):
                    await _look_again(client, key)
                raise one.result
        return all_of_it[0].result, all_of_it[-1].result
    raise ValkeyConnectionError("The slot moves from server to server.")


async def _look_again(client: ValkeyCluster, key: str | bytes) -> None:
    """Have the client find out who has the slot now; that this fails, too, is no news."""
    with suppress(OSError, ValkeyConnectionError, ClusterDownError, ValkeyClusterException):
        await client.execute_command("EXISTS", key)
