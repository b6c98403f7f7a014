"""S2: what an attacker puts where a key belongs is a wrong key, and nothing else."""

from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.auth import keys
from llm.runtime import Runtime
from tests.live.inside import Exchange
from tests.live.world import World

pytestmark = pytest.mark.live

INJECTIONS = [
    "'", '"', "')", "' OR '1'='1", "' OR 1=1--", "') OR ('1'='1", '" OR ""="', "1 OR 1=1",
    "' UNION SELECT NULL,NULL,NULL--", "' AND 1=CAST((SELECT version()) AS int)--",
    "'; SELECT pg_sleep(5)--", "' AND (SELECT 1 FROM pg_sleep(5)) IS NOT NULL--",
    "' AND SLEEP(5)#", "'; WAITFOR DELAY '0:0:5'--", "'; DROP TABLE billing_api_key;--",
    "'; COPY (SELECT 1) TO PROGRAM 'id'--", "$$;SELECT 1;$$", "\\'; SELECT 1 --", "%27%20OR%201=1",
    "' /*!50000OR*/ 1=1 #", "' RLIKE SLEEP(5)--", "' PROCEDURE ANALYSE()--", "' HAVING 1=1--",
    "' ORDER BY 99--", "%s%(x)s{0}{x}",
]  # fmt: skip
# 25 injections in 20 places of what is sent.
PLACES = [
    "{}", "Bearer {}", "bearer {}", "Basic {}", "Bearer vc-{}", "Bearer vc-{}-{}", "Bearer {}-vc",
    "Bearer vc-AbCdEf123456-{}", "Bearer vc-{}-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Bearer vc-AbCdEf123456-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{}",  # pragma: allowlist secret
    "Bearer eyJhbGciOiJub25lIn0.{}.", "Bearer {}.{}.{}", "Bearer e30.{}.e30", "Bearer {0}{0}{0}{0}",
    "Bearer \t{}", "Bearer {} {}", "Digest username={}", "Token {}", "Bearer sk-{}", "ApiKey {}",
]  # fmt: skip
PAYLOADS = [
    place.replace("{0}", "{}").replace("{}", text)
    for place, text in product(PLACES, INJECTIONS)
]
# What is sent as x-api-key comes without a scheme.
BARE = [one.removeprefix("Bearer ") for one in PAYLOADS]


def test_payloads__of_this_test__are_five_hundred() -> None:
    assert len(set(PAYLOADS)) == 500


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_key__of_an_attacker__is_401_as_openai_words_it(
    gateway: Runtime, settings: Any, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 0
    asked: list[str] = []
    found = gateway.callers._key_lookups
    load = found._load

    def count(many: list[str]) -> dict[str, Any]:
        asked.extend(many)
        return load(many)

    monkeypatch.setattr(found, "_load", count)
    for text in PAYLOADS if header == "authorization" else BARE:
        exchange = Exchange(gateway, "/v1/models", method="GET")
        exchange.scope["headers"].append((header.encode(), text.encode("latin-1")))
        answer = await exchange.run()
        assert answer.status == 401, text
        assert {"message", "type", "param", "code"} <= set(answer.error), text
        assert answer.error["type"] == "authentication_error", text
        assert "SELECT" not in answer.error["message"]
    # Only what has the form of a key is looked up at all, once for each prefix.
    assert all(keys.parse(f"vc-{one.removeprefix('vc-')}-{'a' * 43}") for one in asked)
    assert len(asked) == len(set(asked)) <= len(INJECTIONS)


@pytest.mark.django_db
def test_management_key__of_an_attacker__is_401_and_costs_a_query_at_most(
    settings: Any,
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = settings.API_REQUESTS_PER_MINUTE = 0
    client = Client()
    for text in PAYLOADS:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get("/api/prompts", HTTP_AUTHORIZATION=text)
        assert (answer.status_code, len(queries) <= 1) == (401, True), text
        assert answer.json()["error"]["type"] == "authentication_error"


@pytest.mark.django_db
def test_login__by_injection__lets_nobody_in(settings: Any) -> None:
    settings.LOGIN_FAILURES = 1000
    User.objects.create_superuser("sql-boss", password="pw")
    client = Client()
    for text in INJECTIONS:
        for field in ("username", "password", "next"):
            sent = {"username": "sql-boss", "password": "x", "next": "/admin/"}
            answer = client.post("/admin/login/", {**sent, field: text})
            assert answer.status_code == 200, text
    assert "_auth_user_id" not in client.session


def test_paths_and_queries__of_an_attacker__are_no_error(world: World) -> None:
    for text in INJECTIONS:
        for path in ("/v1/models/{}", "/v1/requests/{}", "/api/prompts/{}", "/api/customers/{}"):  # fmt: skip
            answer = world.request(path.format(quote(text, safe="")))
            assert answer.status < 500, (path, text)
