"""The story of one request, top to bottom: authenticate, resolve, admit, relay, settle."""

import asyncio
from collections.abc import Callable

from billing.ledger import Ledger
from llm import headers, metrics
from llm.admission import Admission
from llm.live_stream import LiveStream
from llm.relay import Journey, Relay
from llm.settlement import Outcome, counted, refused, settle
from llm.types import CLIENT_GONE, Call, Held, Reply, StreamReply
from valuecanvas.core import money
from valuecanvas.core.errors import GatewayError, Unavailable


class Pipeline:
    """Answers calls. One per process; it holds nothing of a single request."""

    def __init__(
        self,
        *,
        admission: Admission,
        relay: Relay,
        ledger: Ledger,
        note: Callable[[Journey], None],
    ) -> None:
        self._admission = admission
        self._relay = relay
        self._ledger = ledger
        self._note = note

    async def run(self, call: Call) -> Reply | StreamReply:
        """Serve `call`. Raises GatewayError, with what was held given back."""
        try:
            held = await self._admission.admit(call)
        except GatewayError as error:
            metrics.REFUSED.labels(call.endpoint, error.code or error.type).inc()
            raise
        journey = Journey(held, deadline=call.started + longest(held))
        self._relay.retries.active += 1
        metrics.ACTIVE.inc()
        try:
            if held.plan.shape.stream:
                return await self._stream(journey)
            return await self._whole(journey)
        except GatewayError as error:
            error.headers = {**_headers(held, ""), **error.headers}
            await settle(self._ledger, journey, refused(error))
            raise
        except BaseException as error:
            # Cancelled or worse, before anything was delivered.
            await settle(self._ledger, journey, _abandoned(journey, error), wait=False)
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
        whole = delivery.whole
        outcome = Outcome(
            status="ok",
            candidate=delivery.candidate,
            tokens=counted(held, whole.usage, whole.size),
        )
        summary = await asyncio.shield(settle(self._ledger, journey, outcome))
        sent = _headers(held, delivery.candidate.provider.key)
        sent["x-valuecanvas-cost-usd"] = money.text(summary.cost)
        return Reply(200, sent, whole.body, summary)

    async def _stream(self, journey: Journey) -> StreamReply:
        """An answer in parts; the stream settles itself when it ends."""
        flow = await self._relay.flow(journey)
        parts = LiveStream(self._relay, self._ledger, journey, flow)
        return StreamReply(_headers(journey.held, flow.candidate.provider.key), parts)


def longest(held: Held) -> float:
    """Seconds that the whole answer may take."""
    model = held.plan.model
    return model.total_stream_s if held.plan.shape.stream else model.total_s


def _abandoned(journey: Journey, error: BaseException) -> Outcome:
    """All is given back, but for the unit of a client that left once it was served."""
    if journey.attempts and CLIENT_GONE in error.args:
        return Outcome(CLIENT_GONE, error_code=CLIENT_GONE)
    return refused(Unavailable("The request was abandoned.", code="abandoned"))


def _headers(held: Held, provider: str) -> dict[str, str]:
    sent = headers.admitted(held.admitted)
    sent["x-valuecanvas-epoch"] = str(held.plan.epoch)
    if provider:
        sent["x-valuecanvas-provider"] = provider
    return sent
