"""All that one process needs to serve requests, built once for its event loop."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from billing.callers import Callers
from billing.ledger import Ledger
from llm import metrics, upstream
from llm.admission import Admission
from llm.breaker.board import Board
from llm.cache.cache import Cache
from llm.coalesce.flights import Flights
from llm.denials import Denials
from llm.exposures import Exposures
from llm.heir import Heir
from llm.journal import Journal
from llm.keeper import Keeper
from llm.limits.limiter import Limiter
from llm.live_config import LiveConfig
from llm.outcomes import Outcomes
from llm.pipeline import Pipeline
from llm.providers.key_probe import KeyProbe
from llm.reader import Reader
from llm.records import Records
from llm.relay import Relay
from llm.room import Room
from llm.settlement import Settler
from llm.standings import Standings
from llm.strangers import Strangers
from llm.tokenizer import Tokenizer
from valuecanvas.core.db_thread import DbThread
from valuecanvas.core.epoch import Changed
from valuecanvas.core.store import Store, open_store

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
    admission: Admission
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
    pool = upstream.session()
    cache = Cache(store)
    journal = Journal(settings.JOURNAL_DIR)
    board = Board(store, records.transition, journal.name)
    outcomes = Outcomes(board, KeyProbe(pool))
    limiter = Limiter(store, journal.name, journal.count)
    tokenizer = Tokenizer()
    tokenizer.load()
    flights = Flights(store, cache, settings.REDIS_URL, journal.name)
    flights.start()
    admission = Admission(
        ledger=ledger,
        config=config,
        callers=callers,
        cache=cache,
        flights=flights,
        journal=journal,
        limiter=limiter,
        denials=Denials(store),
        tokenizer=tokenizer,
        db=db,
    )
    exposures = Exposures(db)
    exposures.start()
    pipeline = Pipeline(
        admission=admission,
        relay=Relay(pool, board, outcomes, journal),
        settler=Settler(ledger, journal, limiter),
        journal=journal,
        cache=cache,
        flights=flights,
        exposures=exposures,
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
        admission=admission,
        pipeline=pipeline,
        journal=journal,
        heir=heir,
        limiter=limiter,
        flights=flights,
        exposures=exposures,
        keeper=keeper,
        reader=Reader(admission=admission, config=config, keeper=keeper),
        room=Room(settings.LLM_MAX_IN_FLIGHT, settings.LLM_MAX_IN_FLIGHT_BYTES),
        strangers=Strangers(limiter, callers),
        standings=Standings(admission, db),
        tokenizer=tokenizer,
    )
