"""The story of one request, top to bottom: authenticate, resolve, admit, relay, settle."""

import asyncio
import weakref
from collections.abc import Callable
from dataclasses import replace

from billing.ledger import Stored
from llm import metrics
from llm.admission.admission import Admission
from llm.cache.cache import Cache
from llm.coalesce.flights import Flights
from llm.coalesce.follower import Followers
from llm.journal.journal import Journal
from llm.live_stream import LiveStream
from llm.replies import headers, stored
from llm.replies.limit_headers import headers as limit_headers
from llm.replies.limit_headers import merge
from llm.settlement.exposures import Exposures
from llm.settlement.request_log import observe_hit, passed_over
from llm.settlement.settlement import (
    Outcome,
    Settler,
    cost_of,
    counted,
    entry_of,
    refused,
)
from llm.types import (
    CLIENT_GONE,
    Call,
    Following,
    Held,
    Known,
    Repeated,
    Reply,
    StreamReply,
)
from llm.upstream.attempts import Journey
from llm.upstream.failover import Delivery, Relay
from valuecanvas.core import failpoints, money
from valuecanvas.core.errors import GatewayError, Unavailable


class Pipeline:
    """Answers calls. One per process; it holds nothing of a single request."""

    def __init__(
        self,
        *,
        admission: Admission,
        relay: Relay,
        settler: Settler,
        journal: Journal,
        cache: Cache,
        flights: Flights,
        exposures: Exposures,
        note: Callable[[Journey], None],
    ) -> None:
        self._admission = admission
        self._relay = relay
        self._settler = settler
        self._journal = journal
        self._cache = cache
        self._flights = flights
        self._exposures = exposures
        self._followers = Followers(settler, self.run)
        self._note = note
        self._live: weakref.WeakSet[LiveStream] = weakref.WeakSet()
        self._closed = False

    async def run(self, call: Call) -> Reply | StreamReply:
        """Serve `call`. Raises GatewayError, with what was held given back."""
        if self._closed:
            raise Unavailable(
                "This server is going down; please ask again.", code="server_shutdown"
            )
        try:
            entered = await self._admission.admit(call)
        except GatewayError as error:
            metrics.REFUSED.labels(call.endpoint, error.code or error.type).inc()
            raise
        if isinstance(entered, Repeated):
            return stored.repeated(entered)
        plan = entered.held.plan if isinstance(entered, Following) else entered.plan
        self._exposures.note_all(plan.chosen.flags)
        passed_over(plan)
        if isinstance(entered, Known):
            observe_hit(entered)
            return stored.known(entered)
        if isinstance(entered, Following):
            return await self._followers.answer(entered)
        return await self._answer(entered)

    def end_streams(self) -> int:
        """The process ends: no new calls, and an in-band error for open streams."""
        self._closed = True
        streams = list(self._live)
        for stream in streams:
            stream.interrupt("server_shutdown")
        self._flights.lose_followed()
        return len(streams)

    async def _answer(self, held: Held) -> Reply | StreamReply:
        """Relay an admitted request, and end its reservation whatever happens."""
        journey = Journey(held, deadline=held.call.started + held.plan.longest_s)
        self._relay.retries.active += 1
        metrics.ACTIVE.inc()
        try:
            if held.plan.shape.stream:
                return await self._stream(journey)
            return await self._whole(journey)
        except GatewayError as error:
            self._share_failure(held, error)
            error.headers = {**_headers(held, ""), **error.headers}
            await self._settler.settle(journey, refused(error))
            raise
        except BaseException as error:
            # Cancelled or worse, before anything was delivered.
            self._share_failure(held, None)
            lost = _abandoned(journey, error)
            await self._settler.settle(journey, lost, wait=False)
            raise
        finally:
            self._relay.retries.active -= 1
            metrics.ACTIVE.dec()
            if journey.failures:
                self._note(journey)

    async def _whole(self, journey: Journey) -> Reply:
        """An answer in one piece; it is sent once its bill is committed."""
        held = journey.held
        delivery = await self._relay.whole(journey)
        failpoints.hit("after_last_token")
        whole = delivery.whole
        outcome = Outcome(
            status="ok",
            candidate=delivery.candidate,
            tokens=counted(held, whole.usage, whole.size, texts=whole.texts),
        )
        self._journal.record(
            held.call.id, journey.route, outcome.tokens.completion, complete=True
        )
        sent = _headers(held, delivery.candidate.provider.key)
        sent["Content-Type"] = stored.JSON
        sent["x-valuecanvas-cost-usd"] = money.text(cost_of(outcome))
        answer = Stored(200, sent, whole.body) if held.claim else None
        summary = await asyncio.shield(
            self._settler.settle(journey, outcome, answer=answer)
        )
        self._share(held, delivery, outcome)
        sent["x-valuecanvas-cost-usd"] = money.text(summary.cost)
        return Reply(200, sent, whole.body, summary)

    def _share(self, held: Held, delivery: Delivery, outcome: Outcome) -> None:
        """Give the answer to those who wait, and to the next who asks the same."""
        if held.place is None:
            return
        entry = entry_of(delivery.whole.body, outcome, delivery.whole.form)
        if delivery.whole.natural:
            self._cache.put(held.place, held.call.directives, entry)
        if held.flight is not None:
            self._flights.landed(held.flight, entry)

    def _share_failure(self, held: Held, error: GatewayError | None) -> None:
        if held.flight is not None:
            self._flights.failed(held.flight, error)

    async def _stream(self, journey: Journey) -> StreamReply:
        """An answer in parts; the stream settles itself when it ends."""
        held = journey.held
        flow = await self._relay.flow(journey)
        sent = _headers(held, flow.candidate.provider.key)
        parts = LiveStream(
            relay=self._relay,
            settler=self._settler,
            journal=self._journal,
            cache=self._cache,
            flights=self._flights,
            journey=journey,
            flow=flow,
            headers=sent,
        )
        self._live.add(parts)
        return StreamReply(sent, parts)


def _abandoned(journey: Journey, error: BaseException) -> Outcome:
    """How a request ended of which nothing was delivered, though nobody failed.

    A client that left once it was sent upstream keeps neither its unit nor the price of
    the prompt, for that was asked for; if we gave up, both are given back.
    """
    held = journey.held
    if journey.sent and CLIENT_GONE in error.args:
        outcome = Outcome(CLIENT_GONE, error_code=CLIENT_GONE)
    else:
        outcome = refused(Unavailable("The request was abandoned.", code="abandoned"))
    if not journey.under_way:
        return outcome
    return replace(
        outcome,
        candidate=held.plan.candidates[journey.route],
        tokens=counted(held, None, 0),
    )


def _headers(held: Held, provider: str) -> dict[str, str]:
    sent = headers.admitted(held.admitted)
    if held.taken is not None:
        sent = merge(sent, limit_headers(held.taken))
    sent |= headers.planned(held.plan)
    sent["x-valuecanvas-epoch"] = str(held.plan.epoch)
    sent["x-valuecanvas-cache"] = "miss" if held.place else "bypass"
    if provider:
        sent["x-valuecanvas-provider"] = provider
    return sent
