"""Embeddings of the fault provider."""


async def test_embeddings__faults__apply_too(fault_server):
    async with fault_server.post(
        "embeddings", model="status-503", input="a"
    ) as response:
        assert response.status == 503
    async with fault_server.post(
        "embeddings", model="lie_usage-absent", input="a"
    ) as response:
        assert "usage" not in await response.json()
