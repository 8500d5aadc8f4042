"""The operations of prizes in the document."""

from grandstand.api.schema import tournament_examples as examples
from grandstand.api.schema.boards import CURSOR
from grandstand.api.schema.parts import (
    BODY_PROBLEMS,
    OPERATORS,
    SENDERS,
    Json,
    answer,
    body,
    operation,
    path,
    problems,
    query,
    ref,
)
from grandstand.api.schema.tournaments import LIST_LIMIT, named
from grandstand.domain.tournaments import PrizeStatus
from grandstand.operations.claim_prizes import KEY_LENGTH_MAX

_ID = path("prize_id", {"type": "string", "minLength": 1}, "Id of a prize.", "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7")

PRIZES: Json = {
    "/api/prizes": {
        "get": operation(
            "listPrizes",
            "Prizes",
            "List prizes",
            SENDERS,
            {"200": answer("In the order in which they were awarded.", "PrizeList", examples.PRIZES)}
            | problems("unauthorized", "forbidden", "invalid", "unavailable"),
            description="A player's token lists that player's own.",
            parameters=[
                query("user_id", ref("UserId"), "Only those of this player."),
                query("status", named(PrizeStatus), "Only those that stand so."),
                query("tournament_id", {"type": "string"}, "Only those of this tournament."),
                LIST_LIMIT,
                CURSOR,
            ],
        )
    },
    "/api/prizes/{prize_id}/claim": {
        "post": operation(
            "claimPrize",
            "Prizes",
            "Claim a prize, once",
            SENDERS,
            {"200": answer("It is the player's.", "PrizeView", examples.CLAIMED)}
            | problems(
                "unauthorized",
                "forbidden",
                "prize_not_found",
                "already_claimed",
                "prize_voided",
                "prize_expired",
                "invalid",
                "unavailable",
            ),
            description="Send an `Idempotency-Key` that you keep until you have an answer: the same key gets the same "
            "answer again, any other repeat is refused.",
            parameters=[
                _ID,
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX},
                    "description": "Names this claim; printable characters.",
                    "example": "6f1c2b9e-claim",
                },
            ],
        )
    },
    "/api/prizes/{prize_id}/void": {
        "post": operation(
            "voidPrize",
            "Prizes",
            "Void a prize that is not claimed",
            OPERATORS,
            {"200": answer("Nobody gets it.", "PrizeView", examples.VOIDED)}
            | problems(
                "unauthorized", "forbidden", "prize_not_found", "prize_not_pending", "unavailable", *BODY_PROBLEMS
            ),
            parameters=[_ID],
            requestBody=body("VoidRequest", {"usual": {"reason": "collusion"}}) | {"required": False},
        )
    },
}
