"""The gateway's rows: what they refuse, how keys are kept, and how they read."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import ProtectedError
from django.utils import timezone

from flags.models import Flag
from llm.models import (
    Attempt,
    BreakerEvent,
    BreakerOverride,
    CacheEpoch,
    Model,
    Provider,
    Seeded,
)
from tests.fixtures_billing import make_model, make_provider, make_route
from valuecanvas.core import crypto
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.django_db


def make_row(**fields: Any) -> Provider:
    fields = {"base_url": "https://api.example/v1", "kind": "openai", **fields}
    return Provider(key="p", name="P", **fields)


def complaints(row: Any) -> list[str]:
    """The fields that `row` is refused for."""
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    return [*caught.value.message_dict]


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pass@api.example/v1",
        "https://user@api.example/v1",
        "https://api.example/v1?key=1",
        "https://api.example/v1#x",
    ],
)
def test_provider_clean__more_than_an_address__is_refused(url: str) -> None:
    assert complaints(make_row(base_url=url)) == ["base_url"]


def test_provider_clean__plain_http__is_refused_unless_allowed(settings: Any) -> None:
    row = make_row(base_url="http://127.0.0.1:8000/v1")
    row.full_clean()
    settings.LLM_ALLOW_HTTP_PROVIDERS = False
    assert complaints(row) == ["base_url"]
    make_row().full_clean()


def test_provider_clean__variable_that_holds_no_provider_key__is_refused(
    settings: Any,
) -> None:
    settings.PROVIDER_KEYS = {"MY_KEY": "k"}
    make_row(api_key_env="MY_KEY").full_clean()
    assert complaints(make_row(api_key_env="SECRET_KEY")) == ["api_key_env"]


def test_provider__key__is_sealed_for_its_host(settings: Any) -> None:
    settings.PROVIDER_KEYS = {"MY_KEY": "from-env"}
    row = make_provider("p", api_key="s3cret", api_key_env="MY_KEY")
    row.refresh_from_db()
    assert row.has_key
    assert b"s3cret" not in bytes(row.api_key_sealed)
    assert row.open_key() == "s3cret"
    row.base_url = "https://evil.example/v1"
    with pytest.raises(crypto.UnreadableSecret):
        row.open_key()
    row.set_key("")
    assert not row.has_key
    assert row.open_key() == "from-env"
    row.api_key_env = "UNKNOWN"
    assert row.open_key() == ""


def test_provider__with_routes__cannot_be_deleted() -> None:
    with pytest.raises(ProtectedError):
        make_route().provider.delete()


def test_model_clean__total_shorter_than_its_parts__is_refused() -> None:
    row = Model(name="m", first_token_s=120, between_tokens_s=15)
    row.total_stream_s, row.total_s = 134, 135
    assert complaints(row) == ["total_stream_s"]
    row.total_stream_s, row.total_s = 135, 134
    assert complaints(row) == ["total_s"]
    row.total_stream_s, row.total_s = 134, 134
    assert sorted(complaints(row)) == ["total_s", "total_stream_s"]
    row.total_stream_s, row.total_s = 135, 135
    row.full_clean()


def test_model_clean__no_time_at_all__is_refused() -> None:
    assert complaints(Model(name="m", first_token_s=0)) == ["first_token_s"]


def test_route__twice__is_refused() -> None:
    route = make_route()
    with pytest.raises(IntegrityError):
        make_route(route.model, route.provider)


def test_names__rows__read_as_people_write_them() -> None:
    number = uuid7()
    route = make_route(
        make_model("m"), make_provider("p", name="P"), upstream_model="u"
    )
    override = BreakerOverride(
        provider=route.provider, state="forced_open", expires_at=timezone.now()
    )
    event = BreakerEvent(
        provider="p", upstream_model="u", from_state="open", to_state="closed"
    )
    named = [route, route.model, route.provider, override, event]
    assert [str(row) for row in named] == [
        "m → p:u",
        "m",
        "P",
        "p:* forced_open",
        "p:u open→closed",
    ]
    assert str(Attempt(request_id=number, number=2)) == f"{number} #2"
    assert str(Seeded(name="tier.free")) == "tier.free"
    assert str(CacheEpoch(target="model:m")) == "model:m"


def test_flag__asked_of_waffle__is_ours_in_a_table_of_ours() -> None:
    flag = Flag.objects.create(name="beta", everyone=True)
    assert Flag._meta.db_table == "feature_flags"
    assert str(flag) == "beta"
    assert Flag.get("beta").everyone is True
