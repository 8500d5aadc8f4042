"""Players who are banned and let in again while they play: what may be served of them at each moment.

They take no part in tournaments, whose prizes would be voided, nor where clocks are moved: a ban and the scores before
and after it are told apart by the server's time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from soak.client import Reply
from soak.findings import Findings

VISIBLE_SECONDS = 0.5
"""How long after a ban a cached page may still show the player, with room to spare."""


@dataclass
class Outlaw:
    """One of them. `is_doubtful`: since the last audit something was done, so what counts is not known exactly."""

    user_id: str
    is_banned: bool = False
    is_doubtful: bool = False
    is_waiting: bool = False
    """Whether a sentence is under way."""
    was_unheard: bool = False
    """Whether a sentence got no reply, and may yet be carried out."""
    gone_since: float | None = None
    """From when on (monotonic) no reply to a request may show the player."""
    unbanned_at: datetime | None = None


@dataclass
class Sentence:
    """A ban, or its end. It is asked for until it is answered."""

    outlaw: Outlaw
    action: Literal["ban", "unban"]
    persistent: bool = True

    def begin(self) -> None:
        """Hear that the first byte is about to leave."""
        self.outlaw.is_doubtful = True
        if self.action == "unban":
            self.outlaw.gone_since = None

    def fail(self) -> None:
        """Hear that there was no reply, or none that says what came of it."""
        self.outlaw.was_unheard = True

    def take(self, reply: Reply) -> bool:
        """Note a reply; False when it must never be answered so."""
        outlaw = self.outlaw
        outlaw.is_waiting = False
        if self.action == "unban" and (reply.status, reply.code) == (404, "player_not_banned"):
            outlaw.is_banned = False
            return outlaw.was_unheard
        if reply.status != 200 or reply.body["is_banned"] != (self.action == "ban") or reply.body["prizes_voided"] != 0:
            return False
        outlaw.is_banned = self.action == "ban"
        if outlaw.is_banned and not outlaw.was_unheard:
            outlaw.gone_since = reply.ended_at + VISIBLE_SECONDS
        return True

    def __str__(self) -> str:
        return f"{self.action} of {self.outlaw.user_id}"


@dataclass
class Outlaws:
    """All of a deployment, by user."""

    each: dict[str, Outlaw] = field(default_factory=dict)

    @classmethod
    def of(cls, user_ids: Iterable[str]) -> "Outlaws":
        """Return them, none of them banned."""
        return cls({user_id: Outlaw(user_id) for user_id in user_ids})

    def is_doubtful(self, user_id: str) -> bool:
        """Whether what counts of a player is not known exactly."""
        outlaw = self.each.get(user_id)
        return outlaw is not None and outlaw.is_doubtful

    def is_gone(self, user_id: str, sent_at: float) -> bool:
        """Whether the reply to a request that was sent then must not show a player."""
        outlaw = self.each.get(user_id)
        return outlaw is not None and outlaw.gone_since is not None and sent_at > outlaw.gone_since

    def settle(
        self, user_id: str, banned_at: datetime | None, unbanned_at: datetime | None, now: float, findings: Findings
    ) -> None:
        """Take in what the database says once nothing is under way; what was answered must have been done."""
        outlaw = self.each[user_id]
        if not outlaw.was_unheard and outlaw.is_banned != (banned_at is not None):
            findings.add("lost", f"{user_id} is banned since {banned_at}, and the last reply was {outlaw.is_banned}")
        outlaw.is_banned, outlaw.unbanned_at = banned_at is not None, unbanned_at
        outlaw.is_doubtful = outlaw.was_unheard = False
        outlaw.gone_since = now if outlaw.is_banned else None

    def counts(self, user_id: str, received_at: datetime) -> bool:
        """Whether a stored event of a player counts, as far as bans go. Not while `is_doubtful`."""
        outlaw = self.each.get(user_id)
        if outlaw is None:
            return True
        return not outlaw.is_banned and (outlaw.unbanned_at is None or received_at > outlaw.unbanned_at)
