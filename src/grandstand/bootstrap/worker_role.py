"""The role `worker`: takes events from the stream, stores them and ranks players."""

import asyncio
import os
import secrets
import socket

from grandstand.bootstrap.core import Core
from grandstand.operations.apply_events import EventApplier
from grandstand.operations.bury_events import EventBurier
from grandstand.operations.judge_events import EventJudge
from grandstand.storage.dead_letters import DeadLetterStore
from grandstand.storage.event_stream import EventStream
from grandstand.storage.quarantine import QuarantineStore
from grandstand.storage.trial_marks import TrialMarks
from grandstand.workers.event_consumer import EventConsumer
from grandstand.workers.stream_consumers import StreamConsumers


def build_consumers(core: Core) -> StreamConsumers:
    """Return the loop of one worker process."""
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    # Half of the connections, so that whoever asks after an engine has one.
    gate = asyncio.Semaphore(max(1, core.settings.database_pool_max // 2))

    def build(stream: EventStream) -> EventConsumer:
        applier = EventApplier(
            core.database, core.ledger, core.event_log, core.catalog, EventJudge(QuarantineStore()), core.folder(),
            core.index, core.changes,
        )  # fmt: skip
        return EventConsumer(
            name,
            stream,
            TrialMarks(core.valkey, core.settings.valkey_prefix, stream.number),
            applier,
            EventBurier(core.database, DeadLetterStore()),
            batch_max=core.settings.worker_batch_max,
            low_share=core.settings.worker_low_share,
            reclaim_idle_seconds=core.settings.reclaim_idle_seconds,
            gate=gate,
        )

    return StreamConsumers(core.streams, build)
