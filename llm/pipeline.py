"""Serves requests: the six steps of `Pipeline.run` are the folders beside this file."""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace

from billing.ledger import Stale, Stored
from billing.models import RefusalStep
from llm import metrics
from llm.admission.admission import Admission
from llm.admission.authentication import Authentication
from llm.admission.lookup import Lookup
from llm.admission.refusal_trace import RefusalTrace
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
from llm.live_stream import LiveStream
from llm.replies import headers, stored
from llm.resolve.resolver import Resolver, read_request
from llm.settlement.outcome import (
    RequestOutcome,
    abandoned_outcome,
    cost_of,
    entry_of,
    refund_outcome,
)
from llm.settlement.request_log import observe_hit
from llm.settlement.settlement import Settlement
from llm.settlement.token_count import count_tokens
from llm.types import (
    AdmittedCall,
    CacheHit,
    Call,
    FollowingCall,
    ReplayedCall,
    Reply,
    StreamReply,
    TokenUse,
)
from llm.upstream.attempts import Attempts
from llm.upstream.failover import Failover
from llm.upstream.provider_calls import Delivery
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
from valuecanvas.core.telemetry import request_context

Answer = Reply | StreamReply
# Errors of steps 1 to 3. An outdated snapshot may be the cause of all but the last one.
REFUSALS = (
    BrokenPrompt,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Unavailable,
    TooManyRequests,
)
# If the configuration changes during so many tries, a script is changing it.
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
        failover: Failover,
        settlement: Settlement,
        sharing: AnswerSharing,
        journal: Journal,
        record_failures: Callable[[Attempts], None],
        refusals: RefusalTrace,
    ) -> None:
        self._config = config
        self._authentication = authentication
        self._resolver = resolver
        self._lookup = lookup
        self._admission = admission
        self._failover = failover
        self._settlement = settlement
        self._sharing = sharing
        self._followers = Followers(settlement)
        self._journal = journal
        self._record_failures = record_failures
        self._refusals = refusals
        self._live: weakref.WeakSet[LiveStream] = weakref.WeakSet()
        self._closed = False

    async def run(self, call: Call) -> Answer:
        """Serve `call`. Raises GatewayError, after what was held is released."""
        self._refuse_if_closed()
        request_context.add(trace_id=call.trace_id)
        async with self._refusals.watch(call) as progress:
            request = await read_request(call)
            for _ in range(TRIES):
                snapshot = await self._config.get_loaded()
                try:
                    # 1. Authenticate: who calls, and who is billed.
                    progress.enter(RefusalStep.AUTHENTICATE)
                    caller = await self._authentication.identify(call)
                    progress.advance(RefusalStep.RESOLVE, caller)
                    # 2. Resolve: prompt, flags, model, routes, price and limits.
                    plan = await self._resolver.plan(call, request, caller, snapshot)
                    progress.advance(RefusalStep.LOOK_UP, caller, plan.epoch)
                    # 3. Look up: minute limits, stored answers, the same call under way.
                    found = await self._lookup.run(call, plan)
                except REFUSALS as error:
                    if await self._is_outdated(snapshot, error):
                        continue
                    return stored.replay_reply(
                        await self._admission.replay(call, error)
                    )
                progress.enter(RefusalStep.ADMIT)
                # 4. Admit: the ledger holds quota and money, or settles a stored answer.
                admitted = await self._admission.admit(call, plan, found)
                if not isinstance(admitted, Stale):
                    break
                await self._lookup.flush()
                await self._config.refresh(admitted.epoch)
            else:
                raise Unavailable(
                    "The configuration is changing too fast; try again shortly.",
                    headers={"Retry-After": "1"},
                )
        if not isinstance(admitted, AdmittedCall):
            return await self._answer_without_provider(admitted)
        # Its settlement logs its event.
        request_context.current().logged = True
        attempts = Attempts(admitted)
        with self._active(attempts):
            try:
                # 5. Call upstream: the routes in order, until one delivers.
                delivered = await self._failover.deliver(attempts)
                # 6. Settle: the bill is committed before a whole answer, or the last
                # part of a stream, is sent.
                return await self._settle_delivered(attempts, delivered)
            except BaseException as error:
                await self._settle_failure(attempts, error)
                raise

    async def check(self, call: Call) -> None:
        """Steps 1 and 2 alone: whether `call` could be served. Raises GatewayError."""
        request = await read_request(call)
        snapshot = await self._config.latest()
        caller = await self._authentication.identify(call)
        await self._resolver.plan(call, request, caller, snapshot)

    async def _is_outdated(self, snapshot: Snapshot, error: GatewayError) -> bool:
        """Whether an outdated snapshot may have caused `error`. Raises Unavailable."""
        may_be = not isinstance(error, TooManyRequests)
        return may_be and await self._config.is_behind(snapshot)

    async def _answer_without_provider(
        self, admitted: CacheHit | FollowingCall | ReplayedCall
    ) -> Answer:
        if isinstance(admitted, ReplayedCall):
            return stored.replay_reply(admitted)
        if isinstance(admitted, FollowingCall):
            return await self._follow(admitted)
        observe_hit(admitted)
        return stored.cache_hit_reply(admitted)

    def end_streams(self) -> int:
        """Refuse new calls, and end open streams with an in-band error."""
        self._closed = True
        streams = list(self._live)
        for stream in streams:
            stream.interrupt("server_shutdown")
        self._sharing.stop_following()
        return len(streams)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Unavailable(
                "This server is shutting down; try again.", code="server_shutdown"
            )

    @contextmanager
    def _active(self, attempts: Attempts) -> Iterator[None]:
        """Count the request while it is upstream, and record its failed attempts."""
        self._failover.retries.active += 1
        metrics.ACTIVE.inc()
        try:
            yield
        finally:
            self._failover.retries.active -= 1
            metrics.ACTIVE.dec()
            if attempts.failures:
                self._record_failures(attempts)

    async def _settle_delivered(
        self, attempts: Attempts, delivered: Delivery | UpstreamStream
    ) -> Answer:
        if isinstance(delivered, UpstreamStream):
            return self._stream(attempts, delivered)
        return await self._settle_whole(attempts, delivered)

    async def _settle_whole(self, attempts: Attempts, delivery: Delivery) -> Reply:
        """Settle a whole answer: it is sent once its bill is committed."""
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
        settled = self._settlement.settle(attempts, outcome, answer)
        summary = await asyncio.shield(settled)
        if held.place is not None:
            entry = entry_of(whole.body, outcome, whole.form)
            self._sharing.complete(held, entry, store=whole.natural)
        sent["x-valuecanvas-cost-usd"] = money.text(summary.cost)
        return Reply(200, sent, whole.body, summary)

    def _stream(self, attempts: Attempts, upstream: UpstreamStream) -> StreamReply:
        """Start a streamed answer, which is settled once, at its end or break."""
        sent = headers.reply_headers(attempts.held, upstream.candidate.provider.key)
        parts = LiveStream(
            journal=self._journal,
            outcomes=self._failover.outcomes,
            sharing=self._sharing,
            settlement=self._settlement,
            record_failures=self._record_failures,
            attempts=attempts,
            stream=upstream,
            headers=sent,
        )
        self._live.add(parts)
        return StreamReply(sent, parts)

    async def _settle_failure(self, attempts: Attempts, error: BaseException) -> None:
        """Settle a request of which nothing was delivered."""
        held = attempts.held
        if isinstance(error, GatewayError):
            # The request is admitted: its ledger row says what failed.
            error.recorded = True
            self._sharing.fail(held, error)
            error.headers = {**headers.reply_headers(held, ""), **error.headers}
            await self._settlement.settle(attempts, refund_outcome(error))
        else:
            self._sharing.fail(held)
            outcome = abandoned_outcome(attempts, error)
            await self._settlement.settle(attempts, outcome, wait=False)

    async def _follow(self, following: FollowingCall) -> Answer:
        """Answer with what another request fetches; start again if that one is lost."""
        try:
            found = await self._followers.answer(following)
        except LeaderLost:
            return await self._start_again(following)
        except GatewayError as error:
            error.recorded = True
            raise
        if isinstance(found, Reply):
            return found
        parts = FollowedParts(found, self._followed_parts(following, found))
        return StreamReply(found.headers, parts)

    async def _followed_parts(
        self, following: FollowingCall, stream: FollowedStream
    ) -> AsyncGenerator[bytes, None]:
        """Yield the followed parts; if the leader is lost, go on with a new answer."""
        async with aclosing(stream.parts()) as parts:
            async for part in parts:
                yield part
        if not stream.lost:
            return
        try:
            reply = await self._start_again(following, delivered=len(stream.passed))
        except GatewayError as error:
            yield stream.error(error.code)
            return
        async with aclosing(stream.resume_with(reply)) as parts:
            async for part in parts:
                yield part

    async def _start_again(
        self, following: FollowingCall, *, delivered: int = 0
    ) -> Answer:
        """Serve a follower from the start. Raises GatewayError after a row is written."""
        held = following.held
        try:
            # Release what it holds first: it may be the last unit.
            await self._settlement.release(held)
            return await self.run(call_again(held.call, following.shared_call))
        except GatewayError as error:
            tokens = TokenUse(completion=delivered, source="gateway")
            outcome = replace(refund_outcome(error), tokens=tokens)
            self._settlement.add_row(held, outcome)
            raise
