"""What each field of a leaderboard's definition means, its limits and how it is written; the struct has the types."""

from typing import Any

from grandstand.api.schema.tournament_fields import tournament_fields
from grandstand.domain.definitions import (
    BUCKET_SIZE_MAX,
    KEEP_FIELDS_MAX,
    PATH_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    TIE_BREAKS_MAX,
    TIERS_MAX,
    TITLE_LENGTH_MAX,
    WHERE_CONDITIONS_MAX,
)
from grandstand.domain.plausibility import DURATION_MAX_SECONDS, EVENTS_MAX
from grandstand.domain.scores import SCORE_MAX

Json = dict[str, Any]

_SCORE: Json = {"minimum": -SCORE_MAX, "maximum": SCORE_MAX}

FIELDS: dict[str, Json] = {
    "title": {
        "description": f"Name for people: 1 to {TITLE_LENGTH_MAX} characters without control characters.",
        "maxLength": TITLE_LENGTH_MAX,
    },
    "event_type": {"description": "Type of the events that count.", "pattern": "^[A-Za-z0-9_.:-]{1,50}$"},
    "field": {
        "description": f"Dotted path of the score inside `payload`, {PATH_LENGTH_MAX} characters at most. May be null "
        "for `count`, which then counts events; with a field it counts those that have it.",
        "examples": ["score", "stats.kills"],
    },
    "where": {
        "description": "Conditions on `payload`, dotted path → value; all must be met. Numbers are compared by value "
        f"(1 is 1.0), true is not 1. At most {WHERE_CONDITIONS_MAX}.",
        "maxProperties": WHERE_CONDITIONS_MAX,
    },
    "operator": {
        "description": "`best` keeps the best score, `latest` that of the latest event, `sum` adds scores up, `count` "
        "counts events."
    },
    "order": {"description": "`desc`: a higher score is better; `asc`: a lower one."},
    "period": {
        "description": "How often the leaderboard begins anew: `all_time` (never), `hourly`, `daily`, `weekly` "
        "(Monday), `monthly`, or `cron: ` and five fields.",
        "examples": ["weekly", "cron: 0 6 * * 1"],
    },
    "timezone": {
        "description": "IANA time zone whose midnights (and cron times) begin periods.",
        "examples": ["Europe/Berlin"],
    },
    "visibility": {"description": "`public`: anyone may read it; `private`: server keys, and players their own place."},
    "min_score": {"description": "Lower scores are stored and not ranked.", **_SCORE},
    "max_score": {"description": "Higher scores are stored and not ranked.", **_SCORE},
    "segment_by": {
        "description": "Dotted path inside `payload`: each value gets a leaderboard of its own beside the whole "
        "(`?segment=`). Texts of up to 64 characters, whole numbers and truth values make segments; 1,000 a period "
        "at most.",
        "examples": ["country"],
    },
    "keep": {
        "description": "Dotted paths inside `payload` that are kept with an entry as `metadata`: from the event that "
        f"set the score, or the latest where scores add up. At most {KEEP_FIELDS_MAX}.",
        "maxItems": KEEP_FIELDS_MAX,
    },
    "tiers": {
        "description": "Named parts of the leaderboard, the best first, all by `top_percent` or all by `min_score`; "
        f"each entry tells its `tier`. At most {TIERS_MAX}.",
        "maxItems": TIERS_MAX,
    },
    "bucket_size": {
        "description": "Places each player, at the first score of a period, in a bucket of at most so many, ranked "
        "by itself (`?bucket=`). Not together with `segment_by`.",
        "minimum": 2,
        "maximum": BUCKET_SIZE_MAX,
    },
    "plausibility": {
        "description": "What no honest game sends: events that break a bound are stored and quarantined, not ranked. "
        "It judges what arrives from now on, and may change at any time.",
    },
    "tie_breaks": {
        "description": "Fields of the one event that set the score, compared in this order where scores are equal, "
        f"before the time. For `best` and `latest`. At most {TIE_BREAKS_MAX}.",
        "maxItems": TIE_BREAKS_MAX,
    },
}

_OF_OTHERS: dict[str, dict[str, Json]] = {
    "LeaderboardView": {
        "key": {"description": "Its name in URLs: 1 to 64 characters of a-z A-Z 0-9 _ . - that begin with a letter or "
                "digit; `user` is reserved."},
        "period_ends_at": {"description": "When the running period ends and the next begins; null for never."},
    },
    "Tier": {
        "id": {"description": "Name of the tier.", "maxLength": TEXT_LENGTH_MAX},
        "top_percent": {
            "description": "The tier of those ranked within so many percent of all, rounded up to whole players.",
            "exclusiveMinimum": 0,
            "maximum": 100,
        },
        "min_score": {"description": "The tier of those with at least (`asc`: at most) this score.", **_SCORE},
    },
    "Plausibility": {
        "score_min": {"description": "Lower scores are quarantined.", **_SCORE},
        "score_max": {"description": "Higher scores are quarantined.", **_SCORE},
        "duration_field": {
            "description": "Dotted path inside `payload` of how long a game took, in seconds; without a number there, "
            "an event is quarantined."
        },
        "duration_min_seconds": {
            "description": "Shorter games are quarantined.",
            "exclusiveMinimum": 0,
            "maximum": DURATION_MAX_SECONDS,
        },
        "gain_per_minute_max": {
            "description": "With a `duration_field`, the most an event may score for each minute of its duration; "
            "without, the most that a player's events of one minute may score together. For `best` and `sum`.",
            "minimum": 1,
            "maximum": SCORE_MAX,
        },
        "events_per_minute_max": {
            "description": "The most events of one minute, by `occurred_at`, that count for a player.",
            "minimum": 1,
            "maximum": EVENTS_MAX,
        },
        "signed": {"description": "Whether events of players that are not signed are quarantined."},
    },
    "TieBreak": {
        "field": {"description": "Dotted path inside `payload`; what is missing or no number comes last."},
        "order": {"description": "`desc`: the higher value is ahead."},
    },
}  # fmt: skip


def describe(components: Json) -> None:
    """Add the meanings and limits to the schemas that speak of definitions."""
    described = {"LeaderboardDefinition": FIELDS, **_OF_OTHERS, **tournament_fields(FIELDS)}
    described["LeaderboardView"] = FIELDS | described["LeaderboardView"]
    for name, fields in described.items():
        properties = components[name]["properties"]
        for field, more in fields.items():
            properties[field] = properties[field] | more
