"""The rate limits of a deployment, as its settings name them."""

from dataclasses import dataclass

from grandstand.domain.rate_limits import RateLimit
from grandstand.settings import Settings


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits in force; None is no limit."""

    player: RateLimit | None
    player_events: RateLimit | None
    player_address: RateLimit | None
    client: RateLimit | None
    anonymous: RateLimit | None
    server: RateLimit | None

    @classmethod
    def of(cls, settings: Settings) -> "RateLimits":
        """Return the limits that the settings name."""

        def limit(counter: str, quota: int, name: str = "default") -> RateLimit | None:
            window, block = settings.rate_limit_window_seconds, settings.rate_limit_block_seconds
            return RateLimit(name, counter, quota, window, block) if quota else None

        return cls(
            player=limit("player", settings.rate_limit_player_requests),
            player_events=limit("events", settings.rate_limit_player_events, "events"),
            player_address=limit("players", settings.rate_limit_address_player_requests, "address"),
            client=limit("client", settings.rate_limit_client_requests),
            anonymous=limit("anonymous", settings.rate_limit_anonymous_requests),
            server=limit("server", settings.rate_limit_server_requests),
        )
