"""Live tournaments: live boards of one occurrence, named or, from one to the next, the running one."""

from dataclasses import dataclass

from grandstand.domain.leaderboards import Visibility
from grandstand.operations.leaderboard_views import Page
from grandstand.operations.live_boards import LiveBoards, Topic
from grandstand.operations.live_channel import Update
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.read_tournament import TournamentReader


@dataclass(frozen=True, slots=True)
class TournamentTopic(Topic):
    """What a listener hears of: the top of a tournament, whose id is `key`; `occurrence` None is the running one."""

    occurrence: int | None = None


class LiveTournaments(LiveBoards):
    """The live tournaments of one process."""

    def __init__(self, reader: LeaderboardReader, tournaments: TournamentReader) -> None:
        super().__init__(reader)
        self._tournaments = tournaments

    async def _read(self, topic: Topic) -> Page:
        occurrence = topic.occurrence if isinstance(topic, TournamentTopic) else None
        return await self._tournaments.page(topic.key, occurrence=occurrence, limit=topic.limit)

    async def _visibility(self, topic: Topic) -> Visibility:
        return await self._tournaments.visibility(topic.key)

    def _generation(self, topic: Topic, latest: Update) -> int | None:
        return self._tournaments.generation(topic.key, latest.period)
