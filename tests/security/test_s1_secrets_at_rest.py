"""S1: no secret is anywhere at rest: not in PostgreSQL, not in Redis, not in a backup.

Ten API keys, two keys of providers and a secret of callbacks are issued and used, by the
admin, the gateway and the management API, right and wrong; then everything is searched.
"""

from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from psycopg import sql

from billing.auth import keys
from billing.models import ApiKey, Scope
from llm.models import Provider
from llm.runtime import Runtime
from tests.admin.rows import make_webhook
from tests.fixtures_backups import BackupPlace
from tests.fixtures_billing import make_api_key, make_customer, make_provider, unique
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.scripted import Asked, healthy, provider
from tests.live.world import World

CANARY = "sk-canary-of-a-provider-7Hq2Zx9Lw"
CALLBACK = "whsec-canary-of-a-callback-7Hq2"


def spellings(secret: str) -> list[bytes]:
    """As it is, and as a column of bytes is dumped."""
    return [secret.encode(), secret.encode().hex().encode()]


def dump_tables() -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        tables = cursor.fetchall()
        assert len(tables) > 50
        found: list[bytes] = []
        # Of partitioned tables COPY takes a query alone.
        query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT")
        for table in tables:
            with cursor.cursor.copy(query.format(sql.Identifier(*table))) as rows:
                found += [bytes(one) for one in rows]
    return b"\n".join(found)


def dump_redis(server: "redis.Redis") -> bytes:
    names = list(server.scan_iter(count=1000))
    return b"\n".join([*names, *(server.dump(name) or b"" for name in names)])


def issue_keys(customer: Any) -> list[str]:
    """Ten keys; half of them through the admin, of which the page shows the text once."""
    client = Client()
    client.force_login(User.objects.create_superuser(unique("boss")))
    texts = [make_api_key(customer, scopes=list(Scope.values))[1] for _ in range(5)]
    for number in range(5):
        form = {
            "name": f"canary {number}", "customer": customer.pk, "scopes": ["llm"],
            "cache_policy": "auto", "allowed_models": "",
        }  # fmt: skip
        answer = client.post(reverse("admin:billing_apikey_add"), form, follow=True)
        texts.append(answer.context["text"])
    assert all(map(keys.parse, texts))
    return texts


def use_cold_path(texts: list[str]) -> None:
    for text in texts:
        for sent in (text, text[:-4] + "0000"):
            Client().get("/api/flags", HTTP_AUTHORIZATION=f"Bearer {sent}")


@pytest.mark.live
async def test_secrets__issued_and_used__are_nowhere_at_rest(
    indoors: World,
    gateway: Runtime,
    redis_server: "redis.Redis",
    backup_place: BackupPlace,
) -> None:
    texts = indoors.db(lambda: issue_keys(make_customer()))
    asked: list[str] = []

    def answer(request: Asked) -> bytes:
        asked.append(request.key)
        return healthy(request)

    async with provider(answer) as url:
        served = indoors.serve_at((url, "m"))
        indoors.db(_set_secrets, served.providers[0])
        for text in texts:
            for sent in (text, text[:-4] + "0000"):
                body = chat_body(served.model)
                await Exchange(gateway, CHAT, body, key=sent).run()
    # Else the search would find nothing of what was never used.
    assert CANARY.lower() in asked
    indoors.db(use_cold_path, texts)
    indoors.db(call_command, "backup", "--no-verify")
    files = [path for path in backup_place.storage.rglob("*") if path.is_file()]
    places = {
        "PostgreSQL": indoors.db(dump_tables),
        "Redis": dump_redis(redis_server),
        "backup": b"".join(map(Path.read_bytes, files)),
    }
    assert all(places.values())
    prefix = keys.parse(texts[0]) or ""
    assert prefix.encode() in places["PostgreSQL"]
    secrets = [text.split("-", 2)[-1] for text in texts]
    for place, content in places.items():
        for secret in (*secrets, CANARY, CALLBACK):
            for spelling in spellings(secret):
                assert spelling not in content, place


def _set_secrets(provider_key: str) -> None:
    row = Provider.objects.get(pk=provider_key)
    row.set_key(CANARY)
    row.save()
    endpoint = make_webhook().endpoint
    endpoint.set_secret(CALLBACK)
    endpoint.save()


@pytest.mark.django_db
def test_pages__of_rows_with_secrets__never_show_them() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser(unique("boss")))
    key, text = make_api_key()
    row = make_provider(api_key=CANARY)
    endpoint = make_webhook().endpoint
    endpoint.set_secret(CALLBACK)
    endpoint.save()
    digest = ApiKey.objects.values_list("digest", flat=True).get(pk=key.pk)
    secrets = (text.split("-", 2)[-1], digest, CANARY, CALLBACK)
    for name, pk in (
        ("billing_apikey", key.pk),
        ("llm_provider", row.pk),
        ("core_webhookendpoint", endpoint.pk),
    ):
        pages = [reverse(f"admin:{name}_changelist")]
        pages += [
            reverse(f"admin:{name}_{one}", args=[pk]) for one in ("change", "history")
        ]
        for page in pages:
            answer = client.get(page, follow=True)
            assert answer.status_code == 200, page
            for secret in secrets:
                assert secret not in answer.content.decode(), page
