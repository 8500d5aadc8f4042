"""The rank index: for each ranking a sorted set in the board's order and a hash user → where it stands.

Boards that keep metadata have it in a further hash, one text an entry.

It may vanish at any moment. A ranking's index counts as complete only while it carries a mark and its parts agree in
size; every read (`index_reads.py`) checks that in the same step. docs/decisions/0005 has the reasons.
"""

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import structlog
from valkey.asyncio import Valkey
from valkey.exceptions import ResponseError

from grandstand.domain.errors import UnavailableError
from grandstand.domain.ranking import prefix
from grandstand.storage.entries import Entry
from grandstand.storage.index_changes import Change, held_version, pack
from grandstand.storage.index_reads import Indexed, IndexReads, prefix_bytes
from grandstand.storage.valkey_errors import OUT_OF_REACH, is_damage, is_wrong_type
from grandstand.storage.valkey_scripts import ALONE, Argument, Replication, Script
from grandstand.storage.valkey_servers import beside

_CALL_ENTRIES_MAX = 2_000
"""Entries one script call takes: about 10 ms of the single thread, for which its other clients wait. After each call
the server syncs its log, so smaller ones make a rebuild wait for the disk most of the time."""

_REBUILD_NEWS_SECONDS = 60
_log = structlog.get_logger(__name__)


class _Call(NamedTuple):
    ranking_id: int
    keys: Sequence[str]
    arguments: Sequence[Argument]


class RankingIndex(IndexReads):
    """Writes the rank indexes of one deployment, and reads them as `IndexReads` does."""

    def __init__(self, client: Valkey, prefix: str, replication: Replication = ALONE) -> None:
        super().__init__(client, prefix)
        # What is acknowledged must not be missing in the replica that may take over: it would serve older ranks.
        self._replication = replication
        self._requests = f"{prefix}:rebuilds"
        self._rebuilding = f"{prefix}:rebuilding"
        self._publish = Script("publish.lua")
        self._complete = Script("complete.lua")
        self._begin_rebuild = Script("begin_rebuild.lua")
        self._erase = Script("erase.lua")

    async def publish(self, entries: Iterable[Entry], directions: Mapping[int, int]) -> None:
        """Take entries into the index, each only when newer than what is there; `directions` by ranking.

        Raises:
            valkey.exceptions.ValkeyError: some may be in; publishing them again does no harm.
        """
        changes: dict[int, list[Change]] = defaultdict(list)
        for ranking_id, user_id, score, tie_key, achieved_at, metadata, version in entries:
            changes[ranking_id].append(
                Change(
                    user_id, version, score * directions[ranking_id], prefix(tie_key, achieved_at), metadata or ""
                )
            )  # fmt: skip
        await self._publish_all(changes)

    async def remove(self, entries: Iterable[Entry]) -> None:
        """Take removed entries out of the index; `version` is that of the removal.

        Raises:
            valkey.exceptions.ValkeyError: some may be out; removing them again does no harm.
        """
        changes: dict[int, list[Change]] = defaultdict(list)
        for entry in entries:
            changes[entry.ranking_id].append(Change(entry.user_id, entry.version))
        await self._publish_all(changes)

    async def _publish_all(self, changes: Mapping[int, list[Change]]) -> None:
        calls = [
            _Call(ranking_id, self._keys(ranking_id), pack(listed[start : start + _CALL_ENTRIES_MAX]))
            for ranking_id, listed in changes.items()
            for start in range(0, len(listed), _CALL_ENTRIES_MAX)
        ]
        await self._run_each(self._publish, calls, self._replication)

    async def _run_each(self, script: Script, calls: Sequence[_Call], replication: Replication = ALONE) -> list[Any]:
        """Run a script on several rankings; drop each index that is damaged, and return None as its reply."""
        if not calls:
            return []
        listed = [(call.keys, call.arguments) for call in calls]
        replies = await script.run_each(self._client, listed, replication)
        damaged = {call.ranking_id: reply for call, reply in zip(calls, replies, strict=True) if is_damage(reply)}
        for ranking_id, error in damaged.items():
            await self._drop(ranking_id, error)
        return [None if is_damage(reply) else reply for reply in replies]

    async def _drop(self, ranking_id: int, error: ResponseError) -> None:
        """Remove an index in which something is that nobody here has put there, and ask for its rebuild.

        What could not be published into it is in the entries already, and so in any rebuild that begins from now on.
        """
        _log.error("rank_index_damaged", ranking_id=ranking_id, error=str(error))
        await self.delete(ranking_id)
        await self.request_rebuild(ranking_id)

    async def complete_new(self, ranking_ids: Sequence[int]) -> None:
        """Mark the indexes of new rankings, whose entries nobody has committed yet, as complete."""
        await self._run_each(
            self._complete, [_Call(ranking_id, self._read_keys(ranking_id), ("", 0)) for ranking_id in ranking_ids]
        )

    async def begin_rebuild(self, ranking: Indexed) -> str:
        """Claim the rebuild of an index; return the token for `finish_rebuild`."""
        arguments: list[Argument] = [uuid4().hex, int(ranking.has_metadata)]
        call = _Call(ranking.ranking_id, self._keys(ranking.ranking_id), arguments)
        (token,) = await self._run_each(self._begin_rebuild, [call])
        if token is None:
            # It is dropped now, and there is nothing left that could be damaged.
            token = await self._begin_rebuild.run(self._client, call.keys, arguments)
        return str(token, "ascii")

    async def finish_rebuild(self, ranking: Indexed, token: str) -> bool:
        """Mark the index complete; False when it, or a part of it, was lost since `begin_rebuild`."""
        arguments: list[Argument] = [token, int(ranking.has_metadata)]
        call = _Call(ranking.ranking_id, self._read_keys(ranking.ranking_id), arguments)
        (is_complete,) = await self._run_each(self._complete, [call])
        return bool(is_complete)

    async def find_incomplete(self, rankings: Sequence[Indexed]) -> list[Indexed]:
        """Return those rankings whose index is missing or whose parts do not agree."""
        calls = [
            (self._read_keys(ranking.ranking_id), ("rank", 1, 0, 0, "", prefix_bytes(ranking))) for ranking in rankings
        ]
        replies = await self._window.run_each(self._client, calls) if calls else []
        return [ranking for ranking, reply in zip(rankings, replies, strict=True) if is_damage(reply) or not reply[0]]

    async def note_rebuild(self, ranking_id: int, entries: int, total: int) -> None:
        """Say how far a rebuild is: entries that are in, of how many. Forgotten after a minute without news."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hset(self._rebuilding, str(ranking_id), f"{entries}/{total}")
            pipe.expire(self._rebuilding, _REBUILD_NEWS_SECONDS)
            # News are no reason for a rebuild to fail, where the server takes none.
            await pipe.execute(raise_on_error=False)

    async def end_rebuild(self, ranking_id: int) -> None:
        """Say that a rebuild is over."""
        await self._begin_anew_if_spoilt(self._rebuilding, self._client.hdel(self._rebuilding, str(ranking_id)))

    async def rebuilds(self) -> dict[int, tuple[int, int]]:
        """Return the rebuilds under way: ranking → entries that are in, of how many.

        Raises:
            UnavailableError: the server is out of reach.
        """
        try:
            found = await self._begin_anew_if_spoilt(self._rebuilding, self._client.hgetall(self._rebuilding)) or {}
        except OUT_OF_REACH as error:
            raise UnavailableError("The rank index cannot be reached right now.") from error
        parts = {int(ranking_id): news.split(b"/") for ranking_id, news in found.items()}
        return {ranking_id: (int(entries), int(total)) for ranking_id, (entries, total) in parts.items()}

    async def request_rebuild(self, ranking_id: int) -> None:
        """Ask for a rebuild soon; does nothing while the server cannot take it (the keeper finds it by itself)."""
        with contextlib.suppress(*OUT_OF_REACH, ResponseError):
            await self._client.sadd(self._requests, ranking_id)  # type: ignore[misc]

    async def take_requests(self, count_max: int) -> list[int]:
        """Return rankings that somebody asked to rebuild, each once."""
        found = await self._begin_anew_if_spoilt(self._requests, self._client.spop(self._requests, count_max))
        return [int(item) for item in found or []]

    async def _begin_anew_if_spoilt(self, key: str, command: Any) -> Any:
        """Return the reply of a command; where the key holds another type, remove it and return None."""
        try:
            return await command
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            await self._client.unlink(key)
            return None

    async def versions(self, ranking_id: int, user_ids: Sequence[str]) -> dict[str, int]:
        """Return the versions that the index holds of these users; those it does not hold are left out."""
        if not user_ids:
            return {}
        held = await self._client.hmget(self._keys(ranking_id)[1], list(user_ids))  # type: ignore[misc]
        return {
            user_id: held_version(value) for user_id, value in zip(user_ids, held, strict=True) if value is not None
        }

    async def sample_users(self, ranking_id: int, count: int) -> list[str]:
        """Return up to `count` different users of the index, by chance."""
        users = await self._client.hrandfield(self._keys(ranking_id)[1], count) or []
        return [user.decode() for user in users if user]

    async def forget(self, ranking_id: int, user_ids: Sequence[str], version: int) -> None:
        """Take users without an entry out of the index, as of `version`."""
        if user_ids:
            await self._publish_all({ranking_id: [Change(user_id, version) for user_id in user_ids]})

    async def erase(self, rankings: Sequence[tuple[int, bool]], user_id: str) -> None:
        """Take what is left of a removed user out of rankings; True for those that nobody reads any more.

        Once no worker holds an older entry of the user: that there was a removal is forgotten.
        """
        calls = [_Call(ranking_id, self._keys(ranking_id), (user_id, int(is_over))) for ranking_id, is_over in rankings]
        await self._run_each(self._erase, calls, self._replication)

    async def delete(self, ranking_id: int) -> None:
        """Remove the index of a ranking that is not served any more."""
        await self._client.unlink(*self._keys(ranking_id))

    async def forget_all(self) -> set[int]:
        """Remove the indexes of all rankings; return which. They are rebuilt from PostgreSQL.

        Raises:
            valkey.exceptions.ValkeyError: some may be left; doing it again does no harm.
        """
        found = await self.held()
        for ranking_id in found:
            await self.delete(ranking_id)
        return found

    async def forget_beside(self, key: str, others: Sequence[str]) -> set[int]:
        """Remove all indexes but those on servers that have one of the `others`, and not the key; return which.

        Raises:
            valkey.exceptions.ValkeyError: as for `forget_all`.
        """
        found = await self.held(**await beside(self._client, key, others))
        for ranking_id in found:
            await self.delete(ranking_id)
        return found

    async def held(self, **options: Any) -> set[int]:
        """Return the rankings that have an index, or some of one; `options` are those of `valkey_servers.beside`."""
        found = set()
        pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", self._prefix) + ":{r*}:holders"
        # Without this part, in which the mark is, no index is served.
        async for key in self._client.scan_iter(match=pattern, count=1000, **options):
            ranking_id = key.decode().removeprefix(f"{self._prefix}:{{r").removesuffix("}:holders")
            if ranking_id.isdecimal():
                found.add(int(ranking_id))
        return found
