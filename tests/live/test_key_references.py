"""Keys of providers in AWS Secrets Manager: a rotated key costs no request.

S1, S6: the key goes to the provider alone, and names outside the prefix are refused.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from llm.models import Provider
from llm.providers import stored_keys
from llm.providers.key_reference import check_reference, read_key
from llm.runtime import Runtime
from llm.tasks import refresh_provider_keys
from tests.fixtures_billing import make_provider, unique
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.scripted import NO_KEY, Asked, healthy, provider, said
from tests.live.world import World
from tests.secrets_manager import SecretsManager, serve_secrets

PREFIX = "valuecanvas/providers/"


@pytest.fixture(scope="module")
def server() -> Iterator[SecretsManager]:
    with serve_secrets() as found:
        yield found


@pytest.fixture
def secrets(server: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> SecretsManager:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


def refer(key: str, reference: str, sealed: str = "") -> None:
    row = Provider.objects.get(pk=key)
    row.api_key_ref = reference
    row.set_key(sealed)
    row.save()


@pytest.mark.live
@pytest.mark.parametrize("stream", [False, True])
async def test_key__rotated_while_serving__is_read_again_at_the_first_refusal(
    indoors: World, gateway: Runtime, secrets: SecretsManager, stream: bool
) -> None:
    name, right = PREFIX + unique("k"), "sk-new"
    asked: list[str] = []

    def answer(request: Asked) -> bytes:
        asked.append(request.key)
        return healthy(request) if request.key == right else said(401, NO_KEY)

    async with provider(answer) as url:
        served = indoors.serve_at((url, "m"))
        key = served.providers[0]
        indoors.db(secrets.put, name, json.dumps({"api_key": right}))
        indoors.db(refer, key, f"aws-sm://{name}#api_key", "sk-old")
        for _ in range(3):
            body = chat_body(served.model, stream=stream)
            reply = await Exchange(gateway, CHAT, body, key=indoors.key).run()
            assert reply.status == 200, reply.body
    assert asked == ["sk-old", "sk-new", "sk-new", "sk-new"]
    assert indoors.db(lambda: Provider.objects.get(pk=key).open_key()) == right


@pytest.mark.live
async def test_key__refused_though_it_is_the_newest__is_read_once_and_not_tried_again(
    indoors: World,
    gateway: Runtime,
    secrets: SecretsManager,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = PREFIX + unique("k")
    asked: list[str] = []
    reads: list[str] = []

    def count(reference: str) -> str:
        reads.append(reference)
        return read_key(reference)

    monkeypatch.setattr(stored_keys, "read_key", count)

    def answer(request: Asked) -> bytes:
        if not request.path.endswith("/models"):
            asked.append(request.key)
        return said(401, NO_KEY)

    async with provider(answer) as url:
        served = indoors.serve_at((url, "m"))
        indoors.db(secrets.put, name, "sk-same")
        indoors.db(refer, served.providers[0], f"aws-sm://{name}", "sk-same")
        for _ in range(3):
            body = chat_body(served.model)
            reply = await Exchange(gateway, CHAT, body, key=indoors.key).run()
            assert reply.status >= 500
    assert len(reads) == 1
    assert set(asked) == {"sk-same"}
    assert len(asked) <= 3


@pytest.mark.django_db
def test_schedule__a_rotated_key__is_taken_over(secrets: SecretsManager) -> None:
    name = PREFIX + unique("k")
    row = make_provider()
    refer(row.pk, f"aws-sm://{name}")
    assert refresh_provider_keys() == 0  # there is no such secret yet
    for key in ("sk-one", "sk-two"):
        secrets.put(name, key)
        assert refresh_provider_keys() == 1
        assert Provider.objects.get(pk=row.pk).open_key() == key
    assert refresh_provider_keys() == 0
    cache.clear()


@pytest.mark.django_db
def test_refresh__an_operator_enters_a_key_meanwhile__keeps_the_operators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = make_provider()
    refer(row.pk, f"aws-sm://{PREFIX}raced")

    def read_slowly(reference: str) -> str:
        refer(row.pk, "", "sk-of-the-operator")
        return "sk-of-the-reference"

    monkeypatch.setattr(stored_keys, "read_key", read_slowly)
    assert refresh_provider_keys() == 0
    assert Provider.objects.get(pk=row.pk).open_key() == "sk-of-the-operator"


@pytest.mark.django_db
def test_schedule__a_stored_key_that_cannot_be_opened__is_read_again_as_the_others_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [make_provider(), make_provider()]
    for row in rows:
        refer(row.pk, f"aws-sm://{PREFIX}lost", "sk-old")
    Provider.objects.filter(pk=rows[0].pk).update(api_key_sealed=b"of a lost FIELD_KEY")
    monkeypatch.setattr(stored_keys, "read_key", lambda reference: "sk-new")
    assert refresh_provider_keys() == 2
    assert {Provider.objects.get(pk=row.pk).open_key() for row in rows} == {"sk-new"}


@pytest.mark.parametrize(
    "text",
    [
        "sk-a-key-by-mistake",
        "aws-sm://",
        "aws-sm://production/database",
        "aws-sm://valuecanvas/providers",
        "aws-sm://valuecanvas/providers/a b",
        "aws-sm://valuecanvas/providers/a#b#c",
        "file:///etc/passwd",
        "https://valuecanvas/providers/a",
    ],
)
def test_reference__of_another_form_or_name__is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        check_reference(text)


@pytest.mark.django_db
def test_form__with_a_reference__reads_the_key_and_shows_the_reference_alone(
    secrets: SecretsManager, settings: Settings
) -> None:
    client = Client()
    boss = User.objects.create_superuser(unique("boss"))
    client.force_login(boss)
    name = PREFIX + unique("k")
    secrets.put(name, json.dumps({"api_key": "sk-canary-of-this-test", "n": 1}))
    row = make_provider()
    page = reverse("admin:llm_provider_change", args=[row.pk])
    form: dict[str, Any] = {
        "key": row.pk, "name": row.name, "kind": row.kind, "base_url": row.base_url,
        "api_key_env": "", "new_key": "", "enabled": "on",
    }  # fmt: skip
    for wrong in (f"{name}#n", f"{name}#none", f"{name}-other"):
        answer = client.post(page, {**form, "api_key_ref": f"aws-sm://{wrong}"})
        assert answer.status_code == 200
        assert answer.context["adminform"].form.errors.keys() == {"api_key_ref"}
        assert "canary" not in answer.content.decode()
    reference = f"aws-sm://{name}#api_key"
    assert client.post(page, {**form, "api_key_ref": reference}).status_code == 302
    saved = Provider.objects.get(pk=row.pk)
    assert (saved.api_key_ref, saved.open_key()) == (
        reference,
        "sk-canary-of-this-test",
    )
    shown = client.get(page).content.decode()
    assert reference in shown
    assert "from Secrets Manager" in shown
    assert "canary" not in shown
    moved = {**form, "api_key_ref": reference, "base_url": "http://127.0.0.1:8/v1"}
    answer = client.post(page, moved)
    assert "The scheme, host or port has changed" in answer.content.decode()
    assert client.post(page, {**form, "api_key_ref": ""}).status_code == 302
    assert not Provider.objects.get(pk=row.pk).has_key
