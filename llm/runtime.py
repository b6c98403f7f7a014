"""All that one process needs to serve requests, built once for its event loop."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import aiohttp
import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from billing.auth.callers import Callers
from billing.ledger import Ledger
from billing.ledger.connection import check_pooling
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
from llm.admission.refusal_trace import RefusalTrace
from llm.admission.trace_rows import TraceRows
from llm.breaker.board import Board
from llm.cache.cache import Cache
from llm.chaos.chaos_client import ChaosClient
from llm.chaos.controller import Controller
from llm.chaos.leases import Leases, LeaseWatch
from llm.chaos.process_faults import ProcessFaults
from llm.chaos.store_faults import FaultStore
from llm.coalesce.shared_calls import SharedCalls
from llm.coalesce.sharing import AnswerSharing
from llm.configuration.committed import CommittedConfig
from llm.configuration.disk_writer import DiskWriter
from llm.configuration.live import LiveConfig
from llm.jobs.job_events import JobWatch
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
from llm.upstream.failover import Failover
from llm.upstream.key_refresh import KeyRefresh
from llm.upstream.outcomes import BreakerReports
from llm.upstream.provider_client import ProviderClient, open_session
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.epoch import ConfigChange
from valuecanvas.core.storage.store import Store, open_store
from valuecanvas.core.telemetry import traces
from valuecanvas.core.telemetry.log_level import LogLevelWatch

log = structlog.get_logger("llm.runtime")
UPLOADS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Runtime:
    """The process's share of the gateway. Make it with `start`, end it with `stop`."""

    db: DbThread
    # Of jobs, batches and files: their queries do not hold up callers.
    jobs_db: DbThread
    job_watch: JobWatch
    store: Store
    ledger: Ledger
    callers: Callers
    config: LiveConfig
    board: Board
    outcomes: BreakerReports
    event_rows: EventRows
    pool: aiohttp.ClientSession
    committed: CommittedConfig
    authentication: Authentication
    pipeline: Pipeline
    journal: Journal
    recovery: JournalRecovery
    shared_calls: SharedCalls
    limiter: Limiter
    exposures: ExposureCounts
    disk_writer: DiskWriter
    free_reads: FreeReads
    load_limit: LoadLimit
    # Of uploads, which take room on the disk.
    uploads: LoadLimit
    auth_throttle: AuthThrottle
    quota_headers: QuotaHeaders
    refusals: RefusalTrace
    trace_rows: TraceRows
    tokenizer: Tokenizer
    log_level: LogLevelWatch
    # Empty unless CHAOS_ENABLED.
    chaos: tuple[Background, ...]

    async def stop(self) -> None:
        """Settle what is queued, report to the breakers, close every connection."""
        for one in self.chaos:
            await one.stop()
        await self.log_level.stop()
        await self.shared_calls.stop()
        await self.job_watch.stop()
        await self.recovery.stop()
        await self.disk_writer.stop()
        await self.limiter.close()
        await self.outcomes.close()
        await self.board.close()
        await self.event_rows.flush()
        await self.exposures.stop()
        await self.trace_rows.stop()
        await self.pool.close()
        await self.store.close()
        # Both block, for seconds at most: nothing else runs on this loop any more.
        self.ledger.close()
        self.journal.close()
        self.db.close()
        self.jobs_db.close()
        self.tokenizer.close()
        traces.close()


async def start() -> Runtime:
    """Build the runtime on the running loop, and load the configuration if it can."""
    traces.prepare()
    loop = asyncio.get_running_loop()
    metrics.TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
    db, jobs_db = DbThread(), DbThread()
    leases = Leases() if settings.CHAOS_ENABLED else None
    store = open_store(partial(FaultStore, leases) if leases else None)
    await store.refuse_cluster()
    ledger = Ledger()
    callers = Callers(db)
    event_rows = EventRows(db)

    def forget_callers(changes: Iterable[ConfigChange] | None) -> None:
        if changes is None:
            callers.clear()
        else:
            callers.drop(changes)

    config = LiveConfig(db, forget_callers)
    pool = open_session()
    cache = Cache(store)
    journal = Journal(settings.JOURNAL_DIR)
    board = Board(store, event_rows.add_transition, journal.name)
    outcomes = BreakerReports(board, KeyProbe(pool))
    limiter = Limiter(store, journal.name, journal.record_subject)
    tokenizer = Tokenizer()
    tokenizer.load()
    shared_calls = SharedCalls(store, cache, settings.REDIS_URL, journal.name)
    shared_calls.start()
    sharing = AnswerSharing(cache, shared_calls)
    client = ChaosClient(pool, leases, sharing) if leases else ProviderClient(pool)
    exposures = ExposureCounts(db)
    exposures.start()
    committed = CommittedConfig(config, ledger)
    authentication = Authentication(callers)
    trace_rows = TraceRows(db)
    trace_rows.start()
    refusals = RefusalTrace(authentication, callers, trace_rows)
    denials = QuotaDenials(store)
    reservations = Reservations(ledger, journal, tokenizer)
    lookup = Lookup(
        cache, shared_calls, limiter, denials, LimitCheck(ledger, reservations)
    )
    pipeline = Pipeline(
        config=committed,
        authentication=authentication,
        resolver=Resolver(tokenizer),
        lookup=lookup,
        admission=Admission(
            authentication=authentication,
            reservations=reservations,
            lookup=lookup,
            denials=denials,
            replays=IdempotentReplays(db, trace_rows),
            exposures=exposures,
        ),
        failover=Failover(client, board, outcomes, journal, KeyRefresh(jobs_db)),
        settlement=Settlement(ledger, journal, limiter),
        sharing=sharing,
        journal=journal,
        record_failures=event_rows.add_attempts,
        refusals=refusals,
    )
    recovery = JournalRecovery(db, store, settings.JOURNAL_DIR)
    recovery.start()
    try:
        await config.refresh()
        await db.run(check_pooling)
    except DatabaseError as error:
        # It starts all the same and answers 503 until the database is back.
        log.warning("config.unavailable", error=type(error).__name__)
        await config.recall()
    job_watch = JobWatch(jobs_db)
    job_watch.start()
    disk_writer = DiskWriter(db, config)
    disk_writer.start()
    log_level = LogLevelWatch(db)
    log_level.start()
    chaos: tuple[Background, ...] = ()
    if leases:
        chaos = (LeaseWatch(db, leases), ProcessFaults(leases, jobs_db), Controller())
    for one in chaos:
        one.start()
    return Runtime(
        db=db,
        jobs_db=jobs_db,
        job_watch=job_watch,
        store=store,
        ledger=ledger,
        callers=callers,
        config=config,
        board=board,
        outcomes=outcomes,
        event_rows=event_rows,
        pool=pool,
        committed=committed,
        authentication=authentication,
        pipeline=pipeline,
        journal=journal,
        recovery=recovery,
        limiter=limiter,
        shared_calls=shared_calls,
        exposures=exposures,
        disk_writer=disk_writer,
        free_reads=FreeReads(
            authentication=authentication,
            config=config,
            committed=committed,
            disk_writer=disk_writer,
        ),
        load_limit=LoadLimit(
            settings.LLM_MAX_IN_FLIGHT, settings.LLM_MAX_IN_FLIGHT_BYTES
        ),
        uploads=LoadLimit(UPLOADS_AT_ONCE, most_bytes=0),
        auth_throttle=AuthThrottle(limiter, callers),
        quota_headers=QuotaHeaders(authentication, committed, db),
        refusals=refusals,
        trace_rows=trace_rows,
        tokenizer=tokenizer,
        log_level=log_level,
        chaos=chaos,
    )
