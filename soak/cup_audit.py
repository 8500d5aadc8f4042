"""Follows the tournaments of a deployment from creation to the last claim, and audits each step."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from soak.client import Client
from soak.cups import GRACE_SECONDS, SLACK_SECONDS, Claim, Cup, prizes_of, race_for, winners
from soak.findings import Findings
from soak.inspection import Inspector

SETTLE_BOUND_SECONDS = 45.0
_CREATE_BOUND_SECONDS = 20.0


@dataclass
class CupKeeper:
    """The tournaments of one deployment. `races` are claims that wait to be sent."""

    client: Client
    inspector: Inspector
    cups: dict[str, Cup] = field(default_factory=dict)
    races: list[Claim] = field(default_factory=list)

    async def create(self, cup_id: str, dice: random.Random, findings: Findings) -> Cup | None:
        """Create a tournament that has begun and ends in a few seconds."""
        now = datetime.now(UTC)
        cup = Cup(cup_id, now - timedelta(seconds=1), now + timedelta(seconds=dice.uniform(1.5, 4.0)))
        reply = await self.client.ask("POST", "/api/tournaments", cup.definition())
        if reply.status != 201:
            findings.add("wrong_reply", f"no tournament in calm weather: {reply}")
            return None
        self.cups[cup_id] = cup
        return cup

    def blur(self) -> None:
        """Hear that clocks were moved: who was in time for what runs now is anybody's guess."""
        for cup in self.cups.values():
            if cup.state == "running":
                cup.is_clear = False

    @property
    def unfinished(self) -> list[Cup]:
        """Those not followed to their end yet."""
        return [cup for cup in self.cups.values() if cup.state != "claimed"]

    async def follow(self, findings: Findings) -> None:
        """Take every tournament as far as it is; needs calm weather and the auditor's look at the stored events."""
        for cup in self.unfinished:
            if cup.state == "running":
                await self._look_for_settlement(cup, findings)
            elif all(claim.replies for claim in cup.claims):
                await self._check_books(cup, findings, after_claims=True)
                await self._check_races(cup, findings)
                cup.state = "claimed"

    async def _look_for_settlement(self, cup: Cup, findings: Findings) -> None:
        reply = await self.client.ask("GET", f"/api/tournaments/{cup.cup_id}")
        if reply.status != 200:
            findings.add("wrong_reply", f"the tournament {cup.cup_id} cannot be read: {reply}")
            return
        if reply.body["status"] == "settled":
            cup.state = "settled"
            self.races += race_for(cup, await self._check_books(cup, findings, after_claims=False))
            return
        due_at = cup.ends_at + timedelta(seconds=GRACE_SECONDS + SLACK_SECONDS + SETTLE_BOUND_SECONDS)
        if datetime.now(UTC) > due_at:
            findings.add("wrong_prize", f"{cup.cup_id} is {reply.body['status']} long after its end: no prizes")
            cup.state = "claimed"

    async def _check_books(self, cup: Cup, findings: Findings, *, after_claims: bool) -> list[str]:
        """Check standings and prizes; return the ids of the prizes."""
        rows = await self.inspector.fetch("standings", cup.cup_id)
        standings = [(row["rank"], row["user_id"], row["score"]) for row in rows]
        if cup.is_clear and standings != cup.standings():
            findings.add("wrong_prize", f"{cup.cup_id}: standings {standings[:5]}…, due {cup.standings()[:5]}…")
        prizes = await self.inspector.fetch("prizes", cup.cup_id)
        given = [(row["user_id"], row["rule"], row["rank"], row["kind"], row["amount"]) for row in prizes]
        if sorted(given) != prizes_of(standings):
            findings.add("wrong_prize", f"{cup.cup_id}: {len(given)} prizes, due {len(prizes_of(standings))}: {given}")
        for row in prizes:
            is_claimed = after_claims and any(claim.prize_id == row["prize_id"] for claim in cup.claims)
            steps = ["pending", "claimed"] if is_claimed else ["pending"]
            if row["steps"] != steps or row["status"] != steps[-1] or row["claims_told"] != is_claimed:
                findings.add("wrong_prize", f"{cup.cup_id}: {dict(row)}, steps due {steps}")
        if not after_claims:
            await self._check_page(cup, standings, findings)
        return [row["prize_id"] for row in prizes]

    async def _check_page(self, cup: Cup, standings: list[tuple[int, str, int]], findings: Findings) -> None:
        reply = await self.client.ask("GET", f"/api/tournaments/{cup.cup_id}/leaderboard", limit=1000)
        if reply.status != 200:
            findings.add("wrong_reply", f"the board of {cup.cup_id} cannot be read: {reply}")
            return
        served = [(entry["rank"], entry["user_id"], entry["score"]) for entry in reply.body["entries"]]
        if served != standings:
            findings.add("wrong_rank", f"{cup.cup_id} serves {served[:5]}…, standings are {standings[:5]}…")

    async def _check_races(self, cup: Cup, findings: Findings) -> None:
        keys = {row["prize_id"]: row["claim_key"] for row in await self.inspector.fetch("prizes", cup.cup_id)}
        for prize_id in dict.fromkeys(claim.prize_id for claim in cup.claims):
            claims = [claim for claim in cup.claims if claim.prize_id == prize_id]
            won = winners(claims)
            wrong = [claim for claim in claims if claim.key and len(set(claim.replies)) > 1]
            if len(won) > 1 or wrong or (won and won != {keys[prize_id]}) or (not won and keys[prize_id] is not None):
                findings.add("wrong_prize", f"{prize_id} of {keys[prize_id]} was claimed by {won}: {claims}")

    async def finish(self, seconds: float, findings: Findings) -> None:
        """Wait until every tournament is settled, or something is found; claims that this brings wait in `races`."""
        deadline = asyncio.get_running_loop().time() + seconds
        while any(cup.state == "running" for cup in self.cups.values()):
            await self.follow(findings)
            if findings or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.25)
