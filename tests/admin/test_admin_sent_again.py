"""A form of the admin that asks somebody outside asks once, however often it comes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from billing.models import Usage
from llm.gateway import gateway_thread
from tests.admin.page_forms import SentForm, forms_of
from tests.admin.prompt_rows import make_prompt
from tests.admin.provider_server import Lister, listening
from tests.demo_process import DemoProcess
from tests.fixtures_billing import (
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
)
from valuecanvas.core.admin import form_results
from valuecanvas.core.models import FormResult

# The pipeline has a thread and connections of its own: it must see committed rows.
pytestmark = pytest.mark.django_db(transaction=True)
PLAYGROUND = "/admin/llm/model/playground/"
WORDS = "plumbers of Ghent"


@dataclass
class Outside:
    """Who is asked, and how often."""

    lister: Lister
    prompt: int

    def asked(self) -> int:
        return Usage.objects.count() + len(self.lister.asked)


@pytest.fixture
def outside(demo_provider: DemoProcess, transactional_db: None) -> Iterator[Outside]:
    demo = make_provider("demo", base_url=demo_provider.url)
    make_route(make_model("demo-chat"), demo, upstream_model="demo-chat")
    make_price("demo", "demo-chat")
    make_customer("anna")
    with listening() as lister:
        make_provider("acme", base_url=lister.url)
        yield Outside(lister, make_prompt("canvas.generate", versions=2, live=1).pk)
    gateway_thread().close()


def playground(client: Client, outside: Outside) -> SentForm:
    form = _form(client, PLAYGROUND, "playground/")
    form.fields |= {"message": [WORDS], "temperature": ["0.5"], "max_tokens": ["50"]}
    return form


def try_it(client: Client, outside: Outside) -> SentForm:
    form = _form(client, _try_url(outside), "try/")
    form.fields |= {"model": ["demo-chat"], "value:business": [WORDS]}
    return form


def discover(client: Client, outside: Outside) -> SentForm:
    return _form(client, "/admin/llm/provider/acme/change/", "discover/")


PAGES = [
    (playground, "demo-chat → demo"),
    (try_it, '<h2 class="vc-title">Version 2'),
    (discover, "model-b"),
]
Page = Callable[[Client, Outside], SentForm]


def _try_url(outside: Outside) -> str:
    return f"/admin/llm/model/prompts/{outside.prompt}/try/"


def _form(client: Client, page: str, end: str) -> SentForm:
    forms = forms_of(page, client.get(page))
    return next(one for one in forms if one.url.endswith(end))


def _body(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.mark.parametrize(("page", "told"), PAGES)
def test_form__sent_and_loaded_again__asks_once_and_shows_the_same(
    operator: Client, outside: Outside, page: Page, told: str
) -> None:
    form = page(operator, outside)
    first = operator.post(form.url, form.fields)
    asked = outside.asked()
    again = operator.post(form.url, form.fields)
    assert outside.asked() == asked > 0
    assert first.status_code == 302
    assert again["Location"] == first["Location"]
    for _ in "12":
        shown = operator.get(first["Location"])
        assert shown.status_code == 200
        assert told in _body(shown)
        assert "no-store" in shown["Cache-Control"]
    assert outside.asked() == asked


@pytest.mark.parametrize("page", [playground, try_it])
def test_form__answered__keeps_what_was_typed(
    operator: Client, outside: Outside, page: Page
) -> None:
    form = page(operator, outside)
    shown = operator.post(form.url, form.fields, follow=True)
    [again] = [one for one in forms_of(form.url, shown) if form.url in one.url]
    assert _typed(again) == _typed(form)


def _typed(form: SentForm) -> dict[str, list[str]]:
    return {
        name: values
        for name, values in form.fields.items()
        if name not in form_results.NOT_TYPED
    }


def test_form__shown_anew_or_changed_after_going_back__is_sent(
    operator: Client, outside: Outside
) -> None:
    form = playground(operator, outside)
    operator.post(form.url, form.fields)
    operator.post(form.url, {**form.fields, "message": "Other words"})
    assert outside.asked() == 2
    operator.post(form.url, playground(operator, outside).fields)
    assert outside.asked() == 3


def test_result__of_another_user_or_page__is_not_shown(
    operator: Client, boss: Client, outside: Outside
) -> None:
    for page, told in PAGES:
        form = page(operator, outside)
        url = operator.post(form.url, form.fields)["Location"]
        _not_shown(boss.get(url, follow=True), told)
        for other in {"playground", "prompts"} - {form.url.split("/")[4]}:
            path = {"playground": PLAYGROUND, "prompts": _try_url(outside)}[other]
            query = url.partition("?")[2]
            _not_shown(operator.get(f"{path}?{query}"), told)


def _not_shown(answer: Any, told: str) -> None:
    text = _body(answer)
    assert form_results.GONE in text
    assert WORDS not in text
    assert told not in text


def test_result__nonsense_asked_for__form_says_that_it_is_not_kept(
    operator: Client, outside: Outside
) -> None:
    for page, _ in PAGES:
        url = page(operator, outside).url
        for key in ("", "x", "\0", "0" * 64, "é" * 64):
            shown = operator.get(url, {"result": key}, follow=True)
            assert shown.status_code == 200
            assert form_results.GONE in _body(shown), key


def test_result__kept__is_sealed_and_gone_after_an_hour(
    operator: Client, outside: Outside
) -> None:
    form = playground(operator, outside)
    url = operator.post(form.url, form.fields)["Location"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT encode(body, 'escape') FROM core_form_result")
        [(text,)] = cursor.fetchall()
    assert "Ghent" not in text
    assert "demo-chat" not in text
    FormResult.objects.update(until=timezone.now() - timedelta(seconds=1))
    _not_shown(operator.get(url), "demo-chat → demo")
    operator.post(form.url, playground(operator, outside).fields)
    assert FormResult.objects.count() == 1


def test_form__fault_while_asking__is_not_sent_again(
    operator: Client, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    for page, _ in PAGES:
        form = page(operator, outside)
        with monkeypatch.context() as patched, pytest.raises(RuntimeError):
            patched.setattr("llm.gateway.complete_sync", fail)
            patched.setattr("llm.providers.discovery.discover", fail)
            operator.post(form.url, form.fields)
        shown = operator.post(form.url, form.fields, follow=True)
        assert outside.asked() == 0
        assert "there is no result yet" in _body(shown)
        assert page is discover or WORDS in _body(shown)


def test_form__sent_twice_at_once__asks_once(
    operator: Client, outside: Outside
) -> None:
    form = discover(operator, outside)
    outside.lister.release.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_post_and_close, operator, form)
        while not (outside.lister.asked or first.done()):
            time.sleep(0.01)
        second = operator.post(form.url, form.fields)["Location"]
        assert form_results.UNKNOWN in _body(operator.get(second))
        outside.lister.release.set()
        assert first.result() == second
    assert "model-b" in _body(operator.get(second))
    assert len(outside.lister.asked) == 1


def _post_and_close(client: Client, form: SentForm) -> str:
    try:
        return str(client.post(form.url, form.fields)["Location"])
    finally:
        connections.close_all()


def test_result__too_large__says_so_and_keeps_what_was_typed(
    operator: Client, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form_results, "MOST_BYTES", 200)
    form = playground(operator, outside)
    shown = operator.post(form.url, form.fields, follow=True)
    assert form_results.TOO_LARGE in _body(shown)
    assert WORDS in _body(shown)
    operator.post(form.url, form.fields)
    assert Usage.objects.count() == 1


def test_discover__no_list__told_and_not_asked_again(
    operator: Client, outside: Outside
) -> None:
    outside.lister.status = 401
    form = discover(operator, outside)
    for _ in "12":
        shown = operator.post(form.url, form.fields, follow=True)
        assert "refuses the key" in _body(shown)
        assert shown.redirect_chain[-1][0] == "/admin/llm/provider/acme/change/"
    assert len(outside.lister.asked) == 1
