"""The gateway's part of the configuration: what is read from the rows."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from llm.configuration import model_facts as config
from llm.configuration.model_facts import OverrideFacts, RouteFacts
from llm.models import BreakerOverride, Provider
from tests.fixtures_billing import make_model, make_provider, make_route

pytestmark = pytest.mark.django_db


def test_load_providers__keys__are_opened_and_never_in_a_repr(settings: Any) -> None:
    settings.PROVIDER_KEYS = {"MY_KEY": "s3cret-env"}
    make_provider("a", api_key="s3cret-sealed", base_url="https://a.example/v1/")
    make_provider("b", api_key_env="MY_KEY", enabled=False)
    make_provider("c")
    found = config.load_providers()
    keys = [one.api_key for one in found.values()]
    assert keys == ["s3cret-sealed", "s3cret-env", ""]
    assert (found["a"].base_url, found["a"].enabled) == ("https://a.example/v1", True)
    assert found["b"].enabled is False
    assert "s3cret" not in repr(found)
    assert [*config.load_providers(["c", "gone"])] == ["c"]


def test_load_providers__key_sealed_for_another_host__is_empty() -> None:
    make_provider("a", api_key="s3cret", base_url="https://a.example/v1")
    Provider.objects.update(base_url="https://evil.example/v1")
    assert config.load_providers()["a"].api_key == ""


def test_load_models__all_and_some__gives_their_limits() -> None:
    one = make_model(
        "m", first_token_s=1, between_tokens_s=2, total_stream_s=3, total_s=4
    )
    make_model("n", enabled=False)
    (facts,) = config.load_models(["m"]).values()
    assert (facts.name, facts.kind, facts.enabled) == ("m", "chat", True)
    assert (facts.first_token_s, facts.between_tokens_s) == (1, 2)
    assert (facts.total_stream_s, facts.total_s) == (3, 4)
    assert facts.max_output_tokens == 4096
    assert facts.created == int(one.created_at.timestamp())
    assert sorted(config.load_models()) == ["m", "n"]
    assert config.load_models()["n"].enabled is False


def test_load_routes__one_is_off__is_left_out() -> None:
    route = make_route(make_model("m"), make_provider("p"), weight=7, priority=2)
    off = make_route(enabled=False)
    facts = RouteFacts(str(route.pk), "m", "p", "m", 2, 7)
    assert config.load_routes() == {str(route.pk): facts}
    assert config.load_routes([str(off.pk)]) == {}


def test_load_overrides__all_and_some__are_in_order_of_making() -> None:
    provider, until = make_provider("p"), timezone.now() + dt.timedelta(hours=1)
    rows = [
        BreakerOverride.objects.create(
            provider=provider, state=state, reason="r", expires_at=until
        )
        for state in ("forced_open", "forced_closed")
    ]
    found = config.load_overrides()
    assert [*found] == [str(row.pk) for row in rows]
    last = str(rows[1].pk)
    assert config.load_overrides([last]) == {
        last: OverrideFacts("p", "", "forced_closed", "r", until)
    }


def test_routes_by_model__provider_gone_or_off__is_left_out() -> None:
    make_provider("on")
    make_provider("off", enabled=False)
    routes = {
        str(n): RouteFacts(str(n), "m", provider, "x", priority, 1)
        for n, (provider, priority) in enumerate(
            [("on", 2), ("off", 1), ("gone", 1), ("on", 1)]
        )
    }
    found = config.routes_by_model(routes, config.load_providers())
    assert [one.id for one in found["m"]] == ["3", "0"]
