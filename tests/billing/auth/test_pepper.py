"""KEY_PEPPER is changed, and keys go on working: each is hashed anew when it is used."""

from typing import Any

import pytest
from django.test import Client

from billing.auth import keys
from billing.models import ApiKey
from tests.fixtures_billing import make_api_key
from valuecanvas.core.errors import NotAuthenticated

NEW = "another pepper 7hJq2Zx9Lw"


def find_digest(key: ApiKey) -> str:
    return ApiKey.objects.values_list("digest", flat=True).get(pk=key.pk)


async def test_pepper__changed__keys_of_before_are_hashed_anew_by_the_gateway(
    callers, db_thread, api_key, settings
):
    key, text = api_key
    settings.KEY_PEPPER_PREVIOUS, settings.KEY_PEPPER = [settings.KEY_PEPPER], NEW
    assert (await callers.authenticate(f"Bearer {text}")).key == key.pk
    if callers._upgrade:
        await callers._upgrade
    assert await db_thread.run(find_digest, key) == keys.digest(text)
    callers.clear()
    settings.KEY_PEPPER_PREVIOUS = []
    assert (await callers.authenticate(f"Bearer {text}")).key == key.pk


async def test_pepper__changed__wrong_keys_are_refused_and_change_nothing(
    callers, db_thread, api_key, settings
):
    key, text = api_key
    before = await db_thread.run(find_digest, key)
    settings.KEY_PEPPER_PREVIOUS, settings.KEY_PEPPER = [settings.KEY_PEPPER], NEW
    with pytest.raises(NotAuthenticated):
        await callers.authenticate(
            f"Bearer {text[:-1]}{'A' if text[-1] != 'A' else 'B'}"
        )
    assert callers._upgrade is None
    assert await db_thread.run(find_digest, key) == before
    settings.KEY_PEPPER_PREVIOUS = []
    callers.clear()
    with pytest.raises(NotAuthenticated):
        await callers.authenticate(f"Bearer {text}")


@pytest.mark.django_db
def test_pepper__changed__keys_of_before_are_hashed_anew_by_the_management_api(
    settings: Any,
) -> None:
    key, text = make_api_key(scopes=["flags:read"])
    settings.KEY_PEPPER_PREVIOUS, settings.KEY_PEPPER = [settings.KEY_PEPPER], NEW
    answer = Client().get("/api/flags", HTTP_AUTHORIZATION=f"Bearer {text}")
    assert answer.status_code == 200
    assert find_digest(key) == keys.digest(text)
