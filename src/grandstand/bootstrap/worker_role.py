"""The role `worker`: takes events from the stream, stores them and ranks players."""

import os
import secrets
import socket

from grandstand.bootstrap.core import Core
from grandstand.operations.apply_events import EventApplier
from grandstand.operations.bury_events import EventBurier
from grandstand.operations.judge_events import EventJudge
from grandstand.storage.dead_letters import DeadLetterStore
from grandstand.storage.quarantine import QuarantineStore
from grandstand.storage.trial_marks import TrialMarks
from grandstand.workers.event_consumer import EventConsumer


def build_consumer(core: Core) -> EventConsumer:
    """Return the loop of one worker process."""
    applier = EventApplier(
        core.database, core.ledger, core.event_log, core.catalog, EventJudge(QuarantineStore()), core.folder(),
        core.index, core.changes,
    )  # fmt: skip
    return EventConsumer(
        f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        core.stream,
        TrialMarks(core.valkey, core.settings.valkey_prefix),
        applier,
        EventBurier(core.database, DeadLetterStore()),
        batch_max=core.settings.worker_batch_max,
        low_share=core.settings.worker_low_share,
        reclaim_idle_seconds=core.settings.reclaim_idle_seconds,
    )
