"""Every check, in the order in which they run: what is cheap comes first."""

from grandstand.invariants.archived_events_whole import ARCHIVED_EVENTS_WHOLE
from grandstand.invariants.archives_match import ARCHIVES_MATCH
from grandstand.invariants.attempts_match import ATTEMPTS_MATCH
from grandstand.invariants.check import Check
from grandstand.invariants.deliveries_owned import DELIVERIES_OWNED
from grandstand.invariants.durability import DURABILITY
from grandstand.invariants.entries_match_events import ENTRIES_MATCH_EVENTS
from grandstand.invariants.events_processed import EVENTS_PROCESSED
from grandstand.invariants.events_unique import EVENTS_UNIQUE
from grandstand.invariants.outbox_complete import OUTBOX_COMPLETE
from grandstand.invariants.partitions_cover import PARTITIONS_COVER
from grandstand.invariants.prizes_match_standings import PRIZES_MATCH_STANDINGS
from grandstand.invariants.rank_index_matches_entries import RANK_INDEX_MATCHES_ENTRIES
from grandstand.invariants.rollups_match_events import ROLLUPS_MATCH_EVENTS
from grandstand.invariants.standings_frozen import STANDINGS_FROZEN

CHECKS: tuple[Check, ...] = (
    DURABILITY,
    PARTITIONS_COVER,
    EVENTS_PROCESSED,
    DELIVERIES_OWNED,
    EVENTS_UNIQUE,
    ARCHIVED_EVENTS_WHOLE,
    ENTRIES_MATCH_EVENTS,
    RANK_INDEX_MATCHES_ENTRIES,
    ARCHIVES_MATCH,
    ATTEMPTS_MATCH,
    STANDINGS_FROZEN,
    PRIZES_MATCH_STANDINGS,
    OUTBOX_COMPLETE,
    ROLLUPS_MATCH_EVENTS,
)
