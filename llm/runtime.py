"""All that one process needs to serve requests, built once for its event loop."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from billing.auth.callers import Callers
from billing.ledger import Ledger
from llm import metrics
from llm.admission.admission import Admission
from llm.admission.auth_throttle import AuthThrottle
from llm.admission.authentication import Authentication
from llm.admission.free_reads import FreeReads
from llm.admission.hold import Reservations
from llm.admission.idempotent_replay import IdempotentReplays
from llm.admission.limit_check import LimitCheck
from llm.admission.load_shedding import LoadLimit
from llm.admission.lookup import Lookup
from llm.admission.quota_denials import QuotaDenials
from llm.admission.quota_headers import QuotaHeaders
from llm.breaker.board import Board
from llm.cache.cache import Cache
from llm.coalesce.flights import SharedCalls
from llm.coalesce.sharing import AnswerSharing
from llm.configuration.committed import CommittedConfig
from llm.configuration.disk_writer import DiskWriter
from llm.configuration.live import LiveConfig
from llm.journal.journal import Journal
from llm.journal.recovery import JournalRecovery
from llm.limits.limiter import Limiter
from llm.metering.tokenizer import Tokenizer
from llm.pipeline import Pipeline
from llm.providers.key_probe import KeyProbe
from llm.resolve.resolver import Resolver
from llm.settlement.event_rows import EventRows
from llm.settlement.exposures import ExposureCounts
from llm.settlement.settlement import Settlement
from llm.upstream import http
from llm.upstream.failover import Failover
from llm.upstream.outcomes import BreakerReports
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.epoch import ConfigChange
from valuecanvas.core.storage.store import Store, open_store

log = structlog.get_logger("llm.runtime")


@dataclass(frozen=True, slots=True)
class Runtime:
    """The process's share of the gateway. Make it with `start`, end it with `stop`."""

    db: DbThread
    store: Store
    ledger: Ledger
    callers: Callers
    config: LiveConfig
    board: Board
    outcomes: BreakerReports
    records: EventRows
    pool: aiohttp.ClientSession
    committed: CommittedConfig
    authentication: Authentication
    pipeline: Pipeline
    journal: Journal
    heir: JournalRecovery
    flights: SharedCalls
    limiter: Limiter
    exposures: ExposureCounts
    keeper: DiskWriter
    reader: FreeReads
    room: LoadLimit
    strangers: AuthThrottle
    standings: QuotaHeaders
    tokenizer: Tokenizer

    async def stop(self) -> None:
        """Settle what is queued, tell the breakers, close every connection."""
        await self.flights.stop()
        await self.heir.stop()
        await self.keeper.stop()
        await self.limiter.close()
        await self.outcomes.close()
        await self.board.close()
        await self.records.flush()
        await self.exposures.stop()
        await self.pool.close()
        await self.store.close()
        # Both block, for seconds at most: nothing else runs on this loop any more.
        self.ledger.close()
        self.journal.close()
        self.db.close()
        self.tokenizer.close()


async def start() -> Runtime:
    """Build the runtime on the running loop, and load the configuration if it can."""
    loop = asyncio.get_running_loop()
    metrics.TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
    db = DbThread()
    store = open_store()
    ledger = Ledger()
    callers = Callers(db)
    records = EventRows(db)

    def changed(changes: Iterable[ConfigChange] | None) -> None:
        if changes is None:
            callers.clear()
        else:
            callers.drop(changes)

    config = LiveConfig(db, changed)
    pool = http.session()
    cache = Cache(store)
    journal = Journal(settings.JOURNAL_DIR)
    board = Board(store, records.transition, journal.name)
    outcomes = BreakerReports(board, KeyProbe(pool))
    limiter = Limiter(store, journal.name, journal.count)
    tokenizer = Tokenizer()
    tokenizer.load()
    flights = SharedCalls(store, cache, settings.REDIS_URL, journal.name)
    flights.start()
    exposures = ExposureCounts(db)
    exposures.start()
    committed = CommittedConfig(config, ledger)
    authentication = Authentication(callers)
    denials = QuotaDenials(store)
    holder = Reservations(ledger, journal, tokenizer)
    lookup = Lookup(cache, flights, limiter, denials, LimitCheck(ledger, holder))
    pipeline = Pipeline(
        config=committed,
        authentication=authentication,
        resolver=Resolver(tokenizer),
        lookup=lookup,
        admission=Admission(
            authentication=authentication,
            holder=holder,
            lookup=lookup,
            denials=denials,
            first_uses=IdempotentReplays(db),
            exposures=exposures,
        ),
        relay=Failover(pool, board, outcomes, journal),
        settler=Settlement(ledger, journal, limiter),
        sharing=AnswerSharing(cache, flights),
        journal=journal,
        note=records.attempts,
    )
    heir = JournalRecovery(db, store, settings.JOURNAL_DIR)
    heir.start()
    try:
        await config.refresh()
    except DatabaseError as error:
        # It starts all the same and answers 503 until the database is back.
        log.warning("config.unavailable", error=type(error).__name__)
        await config.recall()
    keeper = DiskWriter(db, config)
    keeper.start()
    return Runtime(
        db=db,
        store=store,
        ledger=ledger,
        callers=callers,
        config=config,
        board=board,
        outcomes=outcomes,
        records=records,
        pool=pool,
        committed=committed,
        authentication=authentication,
        pipeline=pipeline,
        journal=journal,
        heir=heir,
        limiter=limiter,
        flights=flights,
        exposures=exposures,
        keeper=keeper,
        reader=FreeReads(
            authentication=authentication,
            config=config,
            committed=committed,
            keeper=keeper,
        ),
        room=LoadLimit(settings.LLM_MAX_IN_FLIGHT, settings.LLM_MAX_IN_FLIGHT_BYTES),
        strangers=AuthThrottle(limiter, callers),
        standings=QuotaHeaders(authentication, committed, db),
        tokenizer=tokenizer,
    )
