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
from llm.admission.auth_throttle import Strangers
from llm.admission.authentication import Authentication
from llm.admission.free_reads import Reader
from llm.admission.hold import Holder
from llm.admission.idempotent_replay import FirstUses
from llm.admission.limit_check import LimitCheck
from llm.admission.load_shedding import Room
from llm.admission.lookup import Lookup
from llm.admission.quota_denials import Denials
from llm.admission.quota_headers import Standings
from llm.breaker.board import Board
from llm.cache.cache import Cache
from llm.coalesce.flights import Flights
from llm.coalesce.sharing import AnswerSharing
from llm.configuration.committed import CommittedConfig
from llm.configuration.disk_writer import Keeper
from llm.configuration.live import LiveConfig
from llm.journal.journal import Journal
from llm.journal.recovery import Heir
from llm.limits.limiter import Limiter
from llm.metering.tokenizer import Tokenizer
from llm.pipeline import Pipeline
from llm.providers.key_probe import KeyProbe
from llm.resolve.resolver import Resolver
from llm.settlement.event_rows import Records
from llm.settlement.exposures import Exposures
from llm.settlement.settlement import Settler
from llm.upstream import http
from llm.upstream.failover import Relay
from llm.upstream.outcomes import Outcomes
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.epoch import Changed
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
    outcomes: Outcomes
    records: Records
    pool: aiohttp.ClientSession
    committed: CommittedConfig
    authentication: Authentication
    pipeline: Pipeline
    journal: Journal
    heir: Heir
    flights: Flights
    limiter: Limiter
    exposures: Exposures
    keeper: Keeper
    reader: Reader
    room: Room
    strangers: Strangers
    standings: Standings
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
    records = Records(db)

    def changed(changes: Iterable[Changed] | None) -> None:
        if changes is None:
            callers.clear()
        else:
            callers.drop(changes)

    config = LiveConfig(db, changed)
    pool = http.session()
    cache = Cache(store)
    journal = Journal(settings.JOURNAL_DIR)
    board = Board(store, records.transition, journal.name)
    outcomes = Outcomes(board, KeyProbe(pool))
    limiter = Limiter(store, journal.name, journal.count)
    tokenizer = Tokenizer()
    tokenizer.load()
    flights = Flights(store, cache, settings.REDIS_URL, journal.name)
    flights.start()
    exposures = Exposures(db)
    exposures.start()
    committed = CommittedConfig(config, ledger)
    authentication = Authentication(callers)
    denials = Denials(store)
    holder = Holder(ledger, journal, tokenizer)
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
            first_uses=FirstUses(db),
            exposures=exposures,
        ),
        relay=Relay(pool, board, outcomes, journal),
        settler=Settler(ledger, journal, limiter),
        sharing=AnswerSharing(cache, flights),
        journal=journal,
        note=records.attempts,
    )
    heir = Heir(db, store, settings.JOURNAL_DIR)
    heir.start()
    try:
        await config.refresh()
    except DatabaseError as error:
        # It starts all the same and answers 503 until the database is back.
        log.warning("config.unavailable", error=type(error).__name__)
        await config.recall()
    keeper = Keeper(db, config)
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
        reader=Reader(
            authentication=authentication,
            config=config,
            committed=committed,
            keeper=keeper,
        ),
        room=Room(settings.LLM_MAX_IN_FLIGHT, settings.LLM_MAX_IN_FLIGHT_BYTES),
        strangers=Strangers(limiter, callers),
        standings=Standings(authentication, committed, db),
        tokenizer=tokenizer,
    )
