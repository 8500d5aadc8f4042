"""What the HTTP layer is built from: the operations it may call, and the settings."""

from dataclasses import dataclass

from grandstand.operations.accept_events import EventIntake
from grandstand.operations.authenticate import Authenticator
from grandstand.operations.check_health import HealthChecker
from grandstand.operations.define_leaderboard import LeaderboardDefiner
from grandstand.operations.live_boards import LiveBoards
from grandstand.operations.open_session import SessionOpener
from grandstand.operations.put_player import PlayerKeeper
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.write_score import ScoreWriter
from grandstand.settings import Role, Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The operations of one process, ready for use."""

    settings: Settings
    authenticator: Authenticator
    intake: EventIntake
    sessions: SessionOpener
    reader: LeaderboardReader
    live: LiveBoards
    definer: LeaderboardDefiner
    scores: ScoreWriter
    players: PlayerKeeper
    health: HealthChecker
    roles: frozenset[Role] = frozenset(("ingest", "api"))
