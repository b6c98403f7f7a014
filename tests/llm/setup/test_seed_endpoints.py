"""Seeded providers follow the environment, until an operator changes them."""

import pytest

from llm.models import Provider, Route
from llm.setup import env_sync, seed
from tests.llm.seeding import LLAMA, configure, live
from valuecanvas.core.db import epoch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def seeded(settings) -> None:
    configure(settings)
    seed.first_run()


def test_follow__the_port_moved__moves_the_row_and_the_epoch_once(settings):
    before = epoch.current()
    settings.DEMO_PROVIDER_URL = "http://127.0.0.1:5002/v1"
    seed.first_run()
    demo = Provider.objects.get(pk="demo")
    assert demo.base_url == "http://127.0.0.1:5002/v1"
    _, changes = epoch.changes_since(before)
    assert changes == [epoch.ConfigChange("provider", "demo")]
    seed.first_run()
    assert epoch.current() == before + 1


def test_follow__keys_appear__real_providers_take_over(settings):
    configure(settings, together="k1", openai="k2")
    seed.first_run()
    assert live(LLAMA) == ["together", "openai"]


def test_follow__keys_vanish__the_stand_ins_are_back(settings):
    configure(settings, together="k1")
    seed.first_run()
    configure(settings)
    seed.first_run()
    assert live(LLAMA) == ["local", "demo"]


def test_follow__no_local_model__leaves_it_out(settings):
    settings.LOCAL_MODEL_URL = ""
    seed.first_run()
    assert live(LLAMA) == ["demo"]
    assert live("smollm2-135m-instruct") == []
    local = Provider.objects.get(pk="local")
    assert local.base_url == "http://127.0.0.1:4001/v1"


def test_follow__an_operator_switched_a_provider_off__it_stays_off(settings):
    demo = Provider.objects.get(pk="demo")
    demo.enabled = False
    demo.save()
    seed.first_run()
    demo.refresh_from_db()
    assert not demo.enabled


def test_follow__an_operator_changed_the_url__it_stays(settings):
    Provider.objects.filter(pk="together").update(base_url="https://my.proxy/v1")
    settings.TOGETHER_BASE_URL = "https://api.together.ai/v1"
    seed.first_run()
    assert Provider.objects.get(pk="together").base_url == "https://my.proxy/v1"


def test_follow__an_operator_switched_a_stand_in_route_on__it_stays(settings):
    configure(settings, together="k1")
    seed.first_run()
    Route.objects.filter(model=LLAMA, provider="local").update(enabled=True)
    seed.first_run()
    assert live(LLAMA) == ["together", "local"]


def test_follow__an_operator_sealed_a_key__the_provider_is_on():
    together = Provider.objects.get(pk="together")
    together.set_key("a key from the admin")
    together.save()
    seed.first_run()
    assert live(LLAMA) == ["together"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", ""),
        ("http://127.0.0.1:4001", "http://127.0.0.1:4001/v1"),
        ("http://127.0.0.1:4001/", "http://127.0.0.1:4001/v1"),
        ("http://127.0.0.1:4001/v1/", "http://127.0.0.1:4001/v1"),
        ("https://host/openai/v2", "https://host/openai/v2"),
    ],
)
def test_with_version__any_spelling__is_up_to_and_with_the_version(url, expected):
    assert env_sync.with_version(url) == expected
