"""The operations of tournaments in the document."""

from grandstand.api.live import LIVE_ENTRIES, LIVE_ENTRIES_MAX
from grandstand.api.parameters import OCCURRENCE_MAX
from grandstand.api.schema import tournament_examples as examples
from grandstand.api.schema.boards import CACHED, CURSOR, LAST_EVENT_ID, NAMED_USER, NOT_MODIFIED, USER
from grandstand.api.schema.parts import (
    ANYONE,
    BODY_PROBLEMS,
    OPERATORS,
    SENDERS,
    Json,
    answer,
    body,
    content,
    operation,
    path,
    problems,
    query,
)
from grandstand.domain.tournaments import Status
from grandstand.operations.list_tournaments import LIST_MAX
from grandstand.operations.read_leaderboard import NEARBY_MAX, PAGE_MAX

_ID = path("tournament_id", {"type": "string", "minLength": 1, "maxLength": 64}, "Id of a tournament.", "friday-cup")
_OCCURRENCE = query(
    "occurrence",
    {"type": "integer", "minimum": 1, "maximum": OCCURRENCE_MAX},
    "Of a repeating tournament: which run, from 1 on. When missing, the running one, else the next, else the last.",
)
LIST_LIMIT = query("limit", {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 100}, "Most in a reply.")
_READ_PROBLEMS = (
    "unauthorized", "forbidden", "tournament_not_found", "occurrence_not_found", "invalid", "unavailable",
)  # fmt: skip
_CHANGE_PROBLEMS = ("unauthorized", "forbidden", "tournament_not_found", "unavailable")


def named(literal: object) -> Json:
    """Return the schema of one of the texts of a `Literal`."""
    return {"type": "string", "enum": list(literal.__args__)}  # type: ignore[attr-defined]


_DEFINITIONS: Json = {
    "/api/tournaments": {
        "get": operation(
            "listTournaments",
            "Tournaments",
            "List tournaments",
            ANYONE,
            {"200": answer("Those you may see, in the order of ids.", "TournamentList", examples.TOURNAMENTS, CACHED)}
            | NOT_MODIFIED
            | problems("unauthorized", "invalid", "unavailable"),
            parameters=[
                query("status", named(Status), "Only those that stand so."),
                LIST_LIMIT,
                CURSOR,
            ],
        ),
        "post": operation(
            "createTournament",
            "Tournaments",
            "Create a tournament",
            OPERATORS,
            {"201": answer("Created.", "TournamentView", examples.TOURNAMENT)}
            | problems("unauthorized", "forbidden", "tournament_exists", "unavailable", *BODY_PROBLEMS),
            description="An event counts when `payload.tournament_id` is the tournament's id, its type and `where` are "
            "met, and it occurred in [starts_at, ends_at). One whose start lies in the past begins at once.",
            requestBody=body(
                "TournamentRequest", {"usual": examples.TOURNAMENT_REQUEST, "short": examples.SHORT_TOURNAMENT}
            ),
        ),
    },
    "/api/tournaments/{tournament_id}": {
        "get": operation(
            "readTournament",
            "Tournaments",
            "Read a tournament",
            ANYONE,
            {"200": answer("The definition and how it stands.", "TournamentView", examples.TOURNAMENT, CACHED)}
            | NOT_MODIFIED
            | problems(*_READ_PROBLEMS),
            parameters=[_ID, _OCCURRENCE],
        ),
        "patch": operation(
            "changeTournament",
            "Tournaments",
            "Change a tournament before its end",
            OPERATORS,
            {"200": answer("As it is now.", "TournamentView", examples.TOURNAMENT)}
            | problems("tournament_over", "tournament_has_scores", *_CHANGE_PROBLEMS, *BODY_PROBLEMS),
            description="What is left out stays. It is the running occurrence that changes, and all that follow; when "
            "none is running, those that follow. What decides scores never changes. The start changes only before it, "
            "while nobody has scored, and not to before the end of the occurrence before.",
            parameters=[_ID],
            requestBody=body("TournamentPatch", {"usual": examples.PATCH}),
        ),
    },
    "/api/tournaments/{tournament_id}/join": {
        "post": operation(
            "joinTournament",
            "Tournaments",
            "Enter a player",
            SENDERS,
            {"200": answer("The player takes part; so it is the second time.", "ParticipantView", examples.PARTICIPANT)}
            | problems(
                "tournament_full",
                "tournament_over",
                "player_banned",
                "occurrence_not_found",
                *_CHANGE_PROBLEMS,
                *BODY_PROBLEMS,
            ),
            description="A player's token enters that player, and may leave the body out.",
            parameters=[
                _ID,
                query(
                    "occurrence",
                    {"type": "integer", "minimum": 1, "maximum": OCCURRENCE_MAX},
                    "Of a repeating tournament: which run, from 1 on. When missing, the running one, else the next.",
                ),
            ],
            requestBody=body("JoinRequest", {"usual": {"user_id": "ada"}}) | {"required": False},
        )
    },
    "/api/tournaments/{tournament_id}/cancel": {
        "post": operation(
            "cancelTournament",
            "Tournaments",
            "Cancel a tournament",
            OPERATORS,
            {
                "200": answer(
                    "Cancelled: the running occurrence and those ahead. Nobody gets a prize.",
                    "TournamentView",
                    examples.TOURNAMENT | {"status": "cancelled", "next_starts_at": None},
                )
            }
            | problems("tournament_settled", *_CHANGE_PROBLEMS),
            parameters=[_ID],
        )
    },
    "/api/tournaments/{tournament_id}/end": {
        "post": operation(
            "endTournament",
            "Tournaments",
            "End the running occurrence now",
            OPERATORS,
            {
                "200": answer(
                    "It has ended and is settled when the grace is over.",
                    "TournamentView",
                    examples.TOURNAMENT | {"status": "ended"},
                )
            }
            | problems("tournament_not_active", *_CHANGE_PROBLEMS),
            parameters=[_ID],
        )
    },
    "/api/tournaments/{tournament_id}/settlement-preview": {
        "get": operation(
            "previewSettlement",
            "Tournaments",
            "Say who would get what if it were settled now",
            OPERATORS,
            {"200": answer("The first 1,000 prizes, and the sums of all.", "Preview", examples.PREVIEW)}
            | problems(*_READ_PROBLEMS),
            parameters=[_ID, _OCCURRENCE],
        )
    },
}

_RANKS: Json = {
    "/api/tournaments/{tournament_id}/leaderboard": {
        "get": operation(
            "readTournamentRanks",
            "Tournaments",
            "Read the ranks of a tournament",
            ANYONE,
            {"200": answer("A page of entries; `leaderboard` is the tournament.", "Page", examples.PAGE, CACHED)}
            | NOT_MODIFIED
            | problems(*_READ_PROBLEMS),
            description="As of leaderboards: from the top, from `from_rank`, or from where `cursor` goes on. A player "
            "token implies `user_id`.",
            parameters=[
                _ID,
                query("limit", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": 100}, "Entries."),
                CURSOR,
                query("from_rank", {"type": "integer", "minimum": 1}, "First rank of the page. Not with `cursor`."),
                NAMED_USER,
                _OCCURRENCE,
            ],
        )
    },
    "/api/tournaments/{tournament_id}/users/{user_id}": {
        "get": operation(
            "readTournamentRank",
            "Tournaments",
            "Read one player's rank and attempts",
            ANYONE,
            {"200": answer("The player's place.", "TournamentRank", examples.RANK, CACHED)}
            | NOT_MODIFIED
            | problems("not_ranked", *_READ_PROBLEMS),
            description="Of a private tournament, a player's token reads that player's own place.",
            parameters=[_ID, USER, _OCCURRENCE],
        )
    },
    "/api/tournaments/{tournament_id}/users/{user_id}/nearby": {
        "get": operation(
            "readTournamentNearby",
            "Tournaments",
            "Read the ranks around a player of a tournament",
            ANYONE,
            {"200": answer("The player's entry amid its neighbours.", "Page", examples.NEARBY, CACHED)}
            | NOT_MODIFIED
            | problems("not_ranked", *_READ_PROBLEMS),
            parameters=[
                _ID,
                USER,
                *(
                    query(name, {"type": "integer", "minimum": 0, "maximum": NEARBY_MAX, "default": 5}, text)
                    for name, text in (("above", "Better entries."), ("below", "Worse entries."))
                ),
                _OCCURRENCE,
            ],
        )
    },
    "/api/tournaments/{tournament_id}/lookup": {
        "post": operation(
            "lookUpTournamentUsers",
            "Tournaments",
            "Read the ranks of some players of a tournament",
            ANYONE,
            {"200": answer("Those ranked, by rank, and those not.", "Lookup", examples.LOOKUP)}
            | problems("malformed", "request_timeout", "body_too_large", "unsupported_media_type", *_READ_PROBLEMS),
            description="A friends board: up to 200 players.",
            parameters=[_ID, _OCCURRENCE],
            requestBody=body("LookupRequest", {"usual": {"user_ids": ["ada", "grace"]}}),
        )
    },
    "/api/tournaments/{tournament_id}/live": {
        "get": operation(
            "listenToTournament",
            "Tournaments",
            "Listen to the top entries of a tournament",
            ANYONE,
            {
                "200": {
                    "description": "Server-Sent Events, as of `listenToLeaderboard`.",
                    "content": content({"type": "string"}, examples.LIVE, "text/event-stream"),
                }
            }
            | problems(*_READ_PROBLEMS),
            description="Without `occurrence` it goes from one occurrence to the next.",
            parameters=[
                _ID,
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": LIVE_ENTRIES_MAX, "default": LIVE_ENTRIES},
                    "Entries of each update.",
                ),
                _OCCURRENCE,
                LAST_EVENT_ID,
            ],
        )
    },
}

TOURNAMENTS: Json = _DEFINITIONS | _RANKS
