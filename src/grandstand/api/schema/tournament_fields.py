"""What each field of a tournament, a prize and a ban means and its limits; the structs have the types."""

from typing import Any

from grandstand.domain.tournaments import (
    AMOUNT_MAX,
    ATTEMPTS_MAX,
    CLAIM_DAYS_MAX,
    METADATA_BYTES_MAX,
    PLAYERS_MAX,
    PRIZE_RULES_MAX,
    RANK_MAX,
)

Json = dict[str, Any]

_DEFINITION: dict[str, Json] = {
    "starts_at": {"description": "Scores count from then on."},
    "ends_at": {
        "description": "Scores count until just before. Events may arrive for a grace "
        "(`GRANDSTAND_TOURNAMENT_GRACE_SECONDS`) after it; then it is settled."
    },
    "join": {"description": "`open`: whoever scores takes part; `required`: whoever has joined."},
    "max_players": {"description": "Null for any number.", "minimum": 1, "maximum": PLAYERS_MAX},
    "max_attempts": {
        "description": "Each scoring event is an attempt; those over the limit are stored and not scored.",
        "minimum": 1,
        "maximum": ATTEMPTS_MAX,
    },
    "prizes": {
        "description": f"At most {PRIZE_RULES_MAX} rules. A rank may get several kinds; of one kind no two rules may "
        "give to the same rank.",
        "maxItems": PRIZE_RULES_MAX,
    },
    "claim_days": {"description": "Days from settlement to claim.", "minimum": 1, "maximum": CLAIM_DAYS_MAX},
    "repeat": {
        "description": "`cron: ` and five fields (UTC): when the next occurrence begins, as long as the first.",
        "examples": ["cron: 0 18 * * 5"],
    },
}
_STANDING: dict[str, Json] = {
    "status": {"description": "`scheduled`, `active`, `ended` (grace), `settled` or `cancelled`."},
    "occurrence": {"description": "Which run of a repeating tournament; 1 for the others."},
    "next_starts_at": {"description": "When the occurrence after this one begins."},
    "players": {"description": "How many take part."},
}


def tournament_fields(of_boards: dict[str, Json]) -> dict[str, dict[str, Json]]:
    """Return the meanings by schema; `of_boards` are those of the fields that boards have, too."""
    shared = {
        name: of_boards[name] for name in ("title", "event_type", "field", "where", "operator", "order", "visibility")
    }
    definition = shared | _DEFINITION
    return {
        "TournamentDefinition": definition,
        "TournamentView": definition | _STANDING,
        "PrizeRule": {
            "from": {"description": "First rank that gets it.", "minimum": 1, "maximum": RANK_MAX},
            "to": {"description": "Last rank; `from` when missing.", "minimum": 1, "maximum": RANK_MAX},
            "top_percent": {
                "description": "Instead of ranks: so many percent of all players, rounded up.",
                "exclusiveMinimum": 0,
                "maximum": 100,
            },
            "kind": {"description": "What it is, in your words.", "pattern": "^[A-Za-z0-9_.:-]{1,50}$"},
            "amount": {"description": "How much of it.", "minimum": 1, "maximum": AMOUNT_MAX},
            "metadata": {"description": f"Whatever comes with it, {METADATA_BYTES_MAX} bytes at most."},
        },
        "PrizeView": {"rank": {"description": "The rank that won it."}},
        "Preview": {"total_amounts": {"description": "Sum of amounts by kind."}},
        "PlayerProfile": {
            "first_seen_at": {"description": "When the first event arrived."},
            "last_seen_at": {"description": "When the last event arrived."},
            "ranks": {"description": "In the running periods of leaderboards, 200 at most with tournaments."},
            "tournaments": {"description": "In running tournaments."},
            "prizes": {"description": "The newest 100."},
        },
    }
