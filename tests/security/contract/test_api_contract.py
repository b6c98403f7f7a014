"""S16, S23: the OpenAPI document is what the gateway does, for each role.

Under FAULTS=full schemathesis asks the whole document, else a few operations of each kind.
"""

import copy
import logging
from typing import Any

import pytest

from tests.faults.counts import FULL, either
from tests.live.server import LiveServer
from tests.security.contract.exemptions import is_exempt
from tests.security.contract.runs import Budget, Role, load_document, run

log = logging.getLogger(__name__)
FEW = ("createFlag", "getFlag", "listModels", "getGatewayHealth")
BUDGET = Budget(
    examples=either(1, 3),
    steps=either(2, 3),
    operations="" if FULL else f"^({'|'.join(FEW)})$",
)
LEAST = either(100, 2_000)


@pytest.fixture(scope="module")
def document(contract_server: LiveServer) -> dict[str, Any]:
    return load_document(contract_server.url)


def test_document__asked_as_each_role__is_kept(
    contract_server: LiveServer, document: dict[str, Any], role: Role
) -> None:
    found = run(contract_server.url, document, role, BUDGET)
    log.info(
        "%s: %d cases, %d exempt, %d operations served",
        role.name, found.cases, found.exempt, len(found.served),
    )  # fmt: skip
    assert found.failures == {}
    assert found.unnamed == set()
    assert found.cases >= LEAST
    assert role.may in found.served


def test_document__that_is_wrong__is_found(
    contract_server: LiveServer, document: dict[str, Any], full_key: Role
) -> None:
    """A status that is not named, and a field that is not so."""
    wrong = copy.deepcopy(document)
    del wrong["paths"]["/v1/models"]["get"]["responses"]["200"]
    wrong["components"]["schemas"]["Health"]["required"].append("more")
    budget = Budget(1, 2, "^(getGatewayHealth|listModels)$")
    found = run(contract_server.url, wrong, full_key, budget)
    checks = {(label, check) for label, check, _ in found.failures}
    assert ("GET /v1/models", "status_code_conformance") in checks
    assert ("GET /api/llm/health", "response_schema_conformance") in checks
    assert ("GET /v1/models", 200) in found.unnamed


@pytest.mark.parametrize(
    ("check", "operation", "blamed", "exempt"),
    [
        ("positive_data_acceptance", "GET /api/flags", "cursor: 400 no", True),
        ("positive_data_acceptance", "GET /api/flags", "limit: 400 no", False),
        ("not_a_server_error", "GET /api/flags", "cursor: 500 no", False),
    ],
)
def test_exemption__of_one_check__covers_no_other(check, operation, blamed, exempt):
    assert is_exempt(check, operation, blamed) is exempt
