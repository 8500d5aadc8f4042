"""The tournament clock: moves tournaments along and expires prizes, while its scheduler leads."""

from grandstand.operations.claim_prizes import PrizeKeeper
from grandstand.operations.run_tournaments import TournamentRunner


class TournamentClock:
    """One round takes every step that is due."""

    def __init__(self, runner: TournamentRunner, prizes: PrizeKeeper) -> None:
        self._runner = runner
        self._prizes = prizes

    async def tick(self) -> None:
        """Take the steps that are due by now.

        Raises:
            UnavailableError: an engine is out of reach; the next round goes on.
        """
        await self._runner.run()
        await self._prizes.expire()
