"""Forgetting stored answers."""

import pytest
from django.test import Client
from django.urls import reverse

from llm.cache import invalidation
from llm.models import CacheEpoch
from prompts.models import Prompt
from tests.fixtures_billing import make_customer, make_model, make_team
from valuecanvas.core.db import epoch

ADD = "admin:llm_cacheepoch_add"


def test_forget__a_model__counts_its_number_on_each_time(operator: Client) -> None:
    model = make_model("to-forget")
    before = epoch.current()
    for times in (1, 2):
        answer = operator.post(reverse(ADD), {"model_name": model.pk})
        assert answer.status_code == 302
        assert (
            CacheEpoch.objects.get(target=invalidation.model(model.pk)).value == times
        )
    assert epoch.current() > before


def test_forget__a_customer__is_found_by_its_user_id(operator: Client) -> None:
    customer = make_customer("somebody")
    operator.post(reverse(ADD), {"customer": "somebody"})
    assert CacheEpoch.objects.get().target == invalidation.customer(customer.pk)


def test_forget__nothing_chosen__is_everything(operator: Client) -> None:
    asked = operator.post(reverse(ADD), {})
    operator.post(reverse(ADD), {"confirmed": asked.context["confirmed"]})
    assert CacheEpoch.objects.get().target == invalidation.EVERYTHING


@pytest.mark.parametrize("user", ["nobody", "twice"])
def test_forget__no_single_such_customer__is_a_form_error(
    operator: Client, user: str
) -> None:
    make_customer("twice", team=make_team())
    make_customer("twice", team=make_team())
    answer = operator.post(reverse(ADD), {"customer": user})
    assert answer.status_code == 200
    assert b"Not done" in answer.content
    assert not CacheEpoch.objects.exists()


def test_forget__a_model_and_a_customer__is_a_form_error(operator: Client) -> None:
    make_customer("somebody")
    chosen = {"customer": "somebody", "model_name": make_model().pk}
    answer = operator.post(reverse(ADD), chosen)
    assert b"Choose only one" in answer.content
    assert not CacheEpoch.objects.exists()


def test_forget__a_prompt__is_its_target(operator: Client) -> None:
    prompt = Prompt.objects.create(key="canvas.generate")
    operator.post(reverse(ADD), {"prompt": prompt.pk})
    assert CacheEpoch.objects.get().target == invalidation.prompt("canvas.generate")


def test_forget__an_auditor__may_only_look(auditor: Client) -> None:
    assert auditor.post(reverse(ADD), {}).status_code == 403
    assert auditor.get(reverse("admin:llm_cacheepoch_changelist")).status_code == 200


def test_list__every_kind_of_target__is_named(boss: Client) -> None:
    customer = make_customer()
    for target in (
        invalidation.EVERYTHING,
        invalidation.model("m-1"),
        invalidation.customer(customer.pk),
        invalidation.prompt("canvas.generate"),
    ):
        invalidation.purge(target)
    page = boss.get(reverse("admin:llm_cacheepoch_changelist")).content.decode()
    assert "Model m-1" in page
    assert "Prompt canvas.generate" in page
    assert str(customer.pk) in page
