"""The story of one request, in `Pipeline.run`: six steps, each a folder beside this file."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace

from billing.ledger import Stale, Stored
from llm import metrics
from llm.admission.admission import Admission
from llm.admission.authentication import Authentication
from llm.admission.lookup import Lookup
from llm.coalesce.follower import (
    FollowedParts,
    FollowedStream,
    Followers,
    LeaderLost,
    call_again,
)
from llm.coalesce.sharing import AnswerSharing
from llm.configuration.committed import CommittedConfig
from llm.configuration.snapshot import Snapshot
from llm.journal.journal import Journal
from llm.live_stream import LiveStream, SettleFunction
from llm.replies import headers, stored
from llm.resolve.resolver import Resolver, read_request
from llm.settlement.outcome import RequestOutcome, cost_of, entry_of, refund_outcome
from llm.settlement.request_log import observe_hit
from llm.settlement.settlement import Settlement
from llm.settlement.token_count import count_tokens
from llm.types import (
    CLIENT_GONE,
    AdmittedCall,
    CacheHit,
    Call,
    FollowingCall,
    ReplayedCall,
    Reply,
    StreamReply,
    Summary,
    TokenUse,
)
from llm.upstream.attempts import Attempts
from llm.upstream.failover import Delivery, Failover
from llm.upstream.stream import UpstreamStream
from prompts.rendering.render import BrokenPrompt
from valuecanvas.core import failpoints, money
from valuecanvas.core.errors import (
    GatewayError,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    TooManyRequests,
    Unavailable,
)

Answer = Reply | StreamReply
# Why steps 1 to 3 refuse. Of all but the last one a snapshot that is behind may be the
# cause.
REFUSALS = (
    BrokenPrompt,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Unavailable,
    TooManyRequests,
)
# Configuration that changes faster than this many tries is an operator's script.
TRIES = 8


class Pipeline:
    """Answers calls. One per process; it holds nothing of a single request."""

    def __init__(
        self,
        *,
        config: CommittedConfig,
        authentication: Authentication,
        resolver: Resolver,
        lookup: Lookup,
        admission: Admission,
        relay: Failover,
        settler: Settlement,
        sharing: AnswerSharing,
        journal: Journal,
        note: Callable[[Attempts], None],
    ) -> None:
        self._config = config
        self._authentication = authentication
        self._resolver = resolver
        self._lookup = lookup
        self._admission = admission
        self._relay = relay
        self._settler = settler
        self._sharing = sharing
        self._followers = Followers(settler)
        self._journal = journal
        self._note = note
        self._live: weakref.WeakSet[LiveStream] = weakref.WeakSet()
        self._closed = False

    async def run(self, call: Call) -> Answer:
        """Serve `call`. Raises GatewayError, with what was held given back."""
        self._refuse_if_closed()
        with metrics.count_refusals(call.endpoint):
            request = await read_request(call)
            for _ in range(TRIES):
                snapshot = await self._config.loaded()
                try:
                    # 1. Authenticate: who calls, and who is billed.
                    caller = await self._authentication.identify(call)
                    # 2. Resolve: prompt, flags, model, routes, price and limits.
                    plan = await self._resolver.plan(call, request, caller, snapshot)
                    # 3. Look: minute limits, stored answers, the same call under way.
                    look = await self._lookup.look(call, plan)
                except REFUSALS as error:
                    if await self._is_outdated(snapshot, error):
                        continue
                    return stored.replay_reply(
                        await self._admission.replay(call, error)
                    )
                # 4. Admit: the ledger holds quota and money, or settles a stored answer.
                admitted = await self._admission.admit(call, plan, look)
                if not isinstance(admitted, Stale):
                    break
                await self._lookup.released()
                await self._config.refresh(admitted.epoch)
            else:
                raise _changing_too_fast()
        if not isinstance(admitted, AdmittedCall):
            return await self._without_provider(admitted)
        attempts = Attempts(admitted)
        with self._active(attempts):
            try:
                # 5. Relay: the routes in order, until one delivers.
                delivered = await self._relay.deliver(attempts)
                # 6. Settle: the bill is committed before a whole answer, or the last
                # part of a stream, is sent.
                return await self._settle_delivered(attempts, delivered)
            except BaseException as error:
                await self._settle_failure(attempts, error)
                raise

    async def _is_outdated(self, snapshot: Snapshot, error: GatewayError) -> bool:
        """Whether `error` may be due to a snapshot that is behind. Raises Unavailable."""
        may_be = not isinstance(error, TooManyRequests)
        return may_be and await self._config.is_behind(snapshot)

    async def _without_provider(
        self, admitted: CacheHit | FollowingCall | ReplayedCall
    ) -> Answer:
        if isinstance(admitted, ReplayedCall):
            return stored.replay_reply(admitted)
        if isinstance(admitted, FollowingCall):
            return await self._follow(admitted)
        observe_hit(admitted)
        return stored.cache_hit_reply(admitted)

    def end_streams(self) -> int:
        """The process ends: no new calls, and an in-band error for open streams."""
        self._closed = True
        streams = list(self._live)
        for stream in streams:
            stream.interrupt("server_shutdown")
        self._sharing.stop_following()
        return len(streams)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Unavailable(
                "This server is going down; please ask again.", code="server_shutdown"
            )

    @contextmanager
    def _active(self, attempts: Attempts) -> Iterator[None]:
        """Count the request while providers are asked, and keep what failed."""
        self._relay.retries.active += 1
        metrics.ACTIVE.inc()
        try:
            yield
        finally:
            self._relay.retries.active -= 1
            metrics.ACTIVE.dec()
            if attempts.failures:
                self._note(attempts)

    async def _settle_delivered(
        self, attempts: Attempts, delivered: Delivery | UpstreamStream
    ) -> Answer:
        if isinstance(delivered, UpstreamStream):
            return self._stream(attempts, delivered, settle=self._settle)
        return await self._settle_whole(attempts, delivered)

    async def _settle_whole(self, attempts: Attempts, delivery: Delivery) -> Reply:
        """An answer in one piece; it is sent once its bill is committed."""
        held, whole = attempts.held, delivery.whole
        failpoints.hit("after_last_token")
        outcome = RequestOutcome(
            status="ok",
            candidate=delivery.candidate,
            tokens=count_tokens(held, whole.usage, whole.size, texts=whole.texts),
        )
        self._journal.record(
            held.call.id, attempts.route, outcome.tokens.completion, complete=True
        )
        sent = headers.reply_headers(held, delivery.candidate.provider.key)
        sent["Content-Type"] = stored.JSON
        sent["x-valuecanvas-cost-usd"] = money.text(cost_of(outcome))
        answer = Stored(200, sent, whole.body) if held.claim else None
        summary = await asyncio.shield(self._settle(attempts, outcome, answer))
        if held.place is not None:
            entry = entry_of(whole.body, outcome, whole.form)
            self._sharing.complete(held, entry, store=whole.natural)
        sent["x-valuecanvas-cost-usd"] = money.text(summary.cost)
        return Reply(200, sent, whole.body, summary)

    def _stream(
        self, attempts: Attempts, flow: UpstreamStream, *, settle: SettleFunction
    ) -> StreamReply:
        """An answer in parts; `settle` is called once, at its end or when it breaks off."""
        sent = headers.reply_headers(attempts.held, flow.candidate.provider.key)
        parts = LiveStream(
            journal=self._journal,
            outcomes=self._relay.outcomes,
            sharing=self._sharing,
            settle=settle,
            journey=attempts,
            flow=flow,
            headers=sent,
        )
        self._live.add(parts)
        return StreamReply(sent, parts)

    async def _settle(
        self,
        attempts: Attempts,
        outcome: RequestOutcome,
        answer: Stored | None = None,
        *,
        wait: bool = True,
    ) -> Summary:
        return await self._settler.settle(attempts, outcome, answer=answer, wait=wait)

    async def _settle_failure(self, attempts: Attempts, error: BaseException) -> None:
        """End the reservation of a request of which nothing was delivered."""
        held = attempts.held
        if isinstance(error, GatewayError):
            self._sharing.fail(held, error)
            error.headers = {**headers.reply_headers(held, ""), **error.headers}
            await self._settle(attempts, refund_outcome(error))
        else:
            # Cancelled or worse.
            self._sharing.fail(held)
            await self._settle(attempts, _abandoned(attempts, error), wait=False)

    async def _follow(self, following: FollowingCall) -> Answer:
        """The answer that another request fetches, or one of its own if that is lost."""
        try:
            found = await self._followers.answer(following)
        except LeaderLost:
            return await self._ask_anew(following)
        if isinstance(found, Reply):
            return found
        parts = FollowedParts(found, self._followed(following, found))
        return StreamReply(found.headers, parts)

    async def _followed(
        self, following: FollowingCall, stream: FollowedStream
    ) -> AsyncGenerator[bytes, None]:
        """The followed parts; where the leader is lost, those of an answer of its own."""
        async with aclosing(stream.parts()) as parts:
            async for part in parts:
                yield part
        if not stream.lost:
            return
        try:
            reply = await self._ask_anew(following, delivered=len(stream.passed))
        except GatewayError as error:
            yield stream.error(error.code)
            return
        async with aclosing(stream.go_on(reply)) as parts:
            async for part in parts:
                yield part

    async def _ask_anew(
        self, following: FollowingCall, *, delivered: int = 0
    ) -> Answer:
        """Serve a request from the start. Raises GatewayError, and leaves a row then."""
        held = following.held
        try:
            # First what it holds goes back: it may have been the last unit.
            await self._settler.give_back(held)
            return await self.run(call_again(held.call, following.flight))
        except GatewayError as error:
            tokens = TokenUse(completion=delivered, source="gateway")
            self._settler.note(held, replace(refund_outcome(error), tokens=tokens))
            raise


def _changing_too_fast() -> Unavailable:
    return Unavailable(
        "The configuration is changing too fast; try again shortly.",
        headers={"Retry-After": "1"},
    )


def _abandoned(journey: Attempts, error: BaseException) -> RequestOutcome:
    """How a request ended of which nothing was delivered, though nobody failed.

    A client that left once it was sent upstream keeps neither its unit nor the price of
    the prompt, for that was asked for; if we gave up, both are given back.
    """
    held = journey.held
    if journey.sent and CLIENT_GONE in error.args:
        outcome = RequestOutcome(CLIENT_GONE, error_code=CLIENT_GONE)
    else:
        outcome = refund_outcome(
            Unavailable("The request was abandoned.", code="abandoned")
        )
    if not journey.under_way:
        return outcome
    return replace(
        outcome,
        candidate=held.plan.candidates[journey.route],
        tokens=count_tokens(held, None, 0),
    )
