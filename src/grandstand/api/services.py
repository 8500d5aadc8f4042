"""What the HTTP layer is built from: the operations it may call, and the settings."""

from dataclasses import dataclass

from grandstand.operations.accept_events import EventIntake
from grandstand.operations.authenticate import Authenticator
from grandstand.operations.ban_player import PlayerBanner
from grandstand.operations.check_health import HealthChecker
from grandstand.operations.claim_prizes import PrizeKeeper
from grandstand.operations.define_leaderboard import LeaderboardDefiner
from grandstand.operations.erase_player import PlayerEraser
from grandstand.operations.export_player import PlayerExporter
from grandstand.operations.join_tournament import TournamentJoiner
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.list_leaderboards import LeaderboardLister
from grandstand.operations.list_tournaments import TournamentLister
from grandstand.operations.live_boards import LiveBoards
from grandstand.operations.live_tournaments import LiveTournaments
from grandstand.operations.manage_dead_letters import DeadLetterManager
from grandstand.operations.manage_keys import KeyManager
from grandstand.operations.manage_quarantine import QuarantineManager
from grandstand.operations.manage_tournaments import TournamentKeeper
from grandstand.operations.manage_webhooks import WebhookManager
from grandstand.operations.open_session import SessionOpener
from grandstand.operations.put_player import PlayerKeeper
from grandstand.operations.read_analytics import AnalyticsReader
from grandstand.operations.read_audit_log import AuditReader
from grandstand.operations.read_events import EventReader
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.read_player import PlayerReader
from grandstand.operations.read_tournament import TournamentReader
from grandstand.operations.route_reads import Reads
from grandstand.operations.trace_events import EventTracer
from grandstand.operations.write_score import ScoreWriter
from grandstand.settings import Role, Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The operations of one process, ready for use."""

    settings: Settings
    authenticator: Authenticator
    limiter: RateLimiter
    intake: EventIntake
    sessions: SessionOpener
    reader: LeaderboardReader
    live: LiveBoards
    definer: LeaderboardDefiner
    lister: LeaderboardLister
    scores: ScoreWriter
    players: PlayerKeeper
    profiles: PlayerReader
    banner: PlayerBanner
    exporter: PlayerExporter
    eraser: PlayerEraser
    tournaments: TournamentKeeper
    tournament_list: TournamentLister
    tournament_entry: TournamentJoiner
    tournament_ranks: TournamentReader
    live_tournaments: LiveTournaments
    prizes: PrizeKeeper
    reads: Reads
    webhooks: WebhookManager
    dead_letters: DeadLetterManager
    events: EventReader
    tracer: EventTracer
    quarantine: QuarantineManager
    keys: KeyManager
    audit: AuditReader
    analytics: AnalyticsReader
    health: HealthChecker
    roles: frozenset[Role] = frozenset(("ingest", "api"))
