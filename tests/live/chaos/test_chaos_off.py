"""A gateway without CHAOS_ENABLED: nothing of it is on the path of a request."""

import pytest

from llm.runtime import Runtime
from llm.upstream.provider_client import ProviderClient
from valuecanvas.core.storage.store import Store

pytestmark = pytest.mark.live


async def test_runtime__with_chaos_off__has_nothing_of_it(gateway: Runtime) -> None:
    assert type(gateway.pipeline._failover._client) is ProviderClient
    assert type(gateway.store) is Store
    assert gateway.chaos == ()
