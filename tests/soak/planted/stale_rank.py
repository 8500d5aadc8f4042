"""Planted bug: the rank index takes an older value of an entry after the newer one."""

from typing import Any

from grandstand.storage.ranking_index import RankingIndex

_publish = RankingIndex.publish
_held: dict[Any, Any] = {}


async def _publish_and_go_back(self: RankingIndex, entries: Any, directions: Any) -> None:
    entries = list(entries)
    await _publish(self, entries, directions)
    stale = []
    for entry in entries:
        before = _held.setdefault((entry.ranking_id, entry.user_id), entry)
        if before.score != entry.score:
            stale.append(before._replace(version=entry.version + 1))
    await _publish(self, stale, directions)


RankingIndex.publish = _publish_and_go_back
