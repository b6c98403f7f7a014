"""What a request leaves behind: nothing that only the garbage collector could free."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from llm.live_stream import LiveStream
from llm.runtime import Runtime
from llm.types import AdmittedCall, CacheHit, Call
from llm.upstream.stream import UpstreamStream
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.world import World
from valuecanvas.http.hot import ClientWatch

pytestmark = pytest.mark.live

KINDS = (Call, UpstreamStream, AdmittedCall, CacheHit, LiveStream, ClientWatch)


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> Counter[str]:
    found = (one for one in gc.get_objects() if type(one) in KINDS)
    return Counter(type(one).__name__ for one in found)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_request__answered_missed_and_hit__leaves_no_cycle(
    indoors: World, gateway: Runtime, stream: bool
) -> None:
    served = indoors.serve("ok")
    for _ in range(2):
        body = chat_body(served.model, stream=stream)
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)
        assert (await exchange.run()).status == 200
        del exchange
    # Whatever was cancelled, or was to be called soon, has its turn.
    for _ in range(10):
        await asyncio.sleep(0.01)
    assert not alive()
