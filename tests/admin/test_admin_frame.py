"""The frame of each page: where it stands, and pages that say one thing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.test.html import Element, parse_html
from django.urls import reverse

from billing.models import Counter
from flags.models import FlagEvent
from prompts.models import PromptEvent
from tests.admin.prompt_rows import make_prompt
from tests.admin.rows import MAKE, make_counter, make_usage
from tests.fixtures_billing import make_api_key, make_customer
from tests.flags.rows import make_flag
from tests.prompts.experiments.rows import make_draft
from valuecanvas.templatetags.frame import short_name


def words(element: Any) -> str:
    if isinstance(element, str):
        return element
    return " ".join(words(one) for one in element.children).strip()


def find(element: Any, fits: Callable[[Element], bool]) -> list[Element]:
    if isinstance(element, str):
        return []
    own = [element] if fits(element) else []
    return own + [found for one in element.children for found in find(one, fits)]


def crumbs(client: Client, url: str) -> list[str]:
    """The way to the page, a link as [text]."""
    text = client.get(url).content.decode()
    start = text.index('<nav aria-label="Breadcrumb"')
    nav: Any = parse_html(text[start : text.index("</nav>", start) + len("</nav>")])
    parts = [one for one in nav.children if not isinstance(one, str)]
    return [
        f"[{words(one)}]" if one.name == "a" else words(one)
        for one in parts
        if words(one) != "chevron_right"
    ]


def lit(client: Client, url: str) -> list[str]:
    groups = client.get(url).context["sidebar_navigation"]
    return [one["title"] for group in groups for one in group["items"] if one["active"]]


def test_crumbs__pages_of_a_prompt__lead_back_to_it(boss: Client) -> None:
    prompt = make_prompt("greet", versions=2, live=1)
    for name, title in (
        ("prompts_prompt_compare", "Compare versions"),
        ("prompts_prompt_details", "Details"),
        ("llm_prompt_try", "Try it"),
    ):
        url = reverse(f"admin:{name}", args=[prompt.pk])
        assert crumbs(boss, url) == ["[Prompts]", "[greet]", title]
        assert lit(boss, url) == ["Prompts"]
    move = reverse("admin:prompts_prompt_move", args=[prompt.pk])
    assert crumbs(boss, f"{move}?version=2")[-1] == "Publish version 2"
    page = reverse("admin:prompts_prompt_change", args=[prompt.pk])
    assert crumbs(boss, page) == ["[Prompts]", "greet"]


def test_crumbs__act_named_after_its_object__says_the_act_alone(boss: Client) -> None:
    flag = make_flag("new_look")
    url = reverse("admin:flags_flag_kill", args=[flag.pk])
    assert crumbs(boss, url) == ["[Flags]", "[new_look]", "Kill"]
    experiment = make_draft(key="shorter")
    url = reverse("admin:prompts_experiment_start", args=[experiment.pk])
    assert crumbs(boss, url)[1:] == ["[Experiments]", "[shorter]", "Start"]


@pytest.mark.parametrize(
    ("name", "way", "item"),
    [
        ("index", ["Dashboard"], "Dashboard"),
        ("llm_playground", ["Traffic", "Playground"], "Playground"),
        ("llm_model_changelist", ["Providers", "Models"], "Models"),
        ("llm_breakers", ["Providers", "Circuit breakers"], "Circuit breakers"),
        ("llm_breakerevent_changelist", ["Providers", "[Circuit breakers]", "Breaker events"], "Circuit breakers"),
        ("llm_breakeroverride_add", ["Providers", "[Circuit breakers]", "[Breaker overrides]", "Add"], "Circuit breakers"),
        ("billing_ledgercheck_changelist", ["Operations", "[Ledger health]", "Checks of the ledger"], "Ledger health"),
        ("django_celery_beat_crontabschedule_changelist", ["Operations", "[Periodic tasks]", "Crontabs"], "Periodic tasks"),
        ("billing_customer_add", ["Customers & spend", "[Customers]", "Add"], "Customers"),
    ],
)  # fmt: skip
def test_crumbs_and_sidebar__pages_of_the_frame__agree(
    boss: Client, name: str, way: list[str], item: str
) -> None:
    url = reverse(f"admin:{name}")
    assert crumbs(boss, url) == way
    assert lit(boss, url) == [item]


def test_crumbs__history_and_deletion__come_after_the_object(
    boss: Client, operator: Client
) -> None:
    customer = make_customer("ann")
    # Who may see the audit is led there.
    for client, ending, title in (
        (operator, "history", "History"),
        (boss, "delete", "Delete"),
    ):
        url = reverse(f"admin:billing_customer_{ending}", args=[customer.pk])
        assert crumbs(client, url)[1:] == ["[Customers]", "[ann]", title]


def test_crumbs__row_without_a_name__end_of_its_id(boss: Client) -> None:
    row = make_usage()
    url = reverse("admin:billing_usage_change", args=[row.pk])
    assert crumbs(boss, url)[-1] == f"Request …{str(row.pk)[-8:]}"
    feedback = MAKE["llm.feedback"]()
    assert short_name(feedback) == f"1 for …{str(feedback.request_id)[-8:]}"


def test_crumbs__page_outside_the_sidebar__its_title(boss: Client) -> None:
    assert crumbs(boss, "/admin/account/password/") == ["Change the password"]


def test_list__title_of_the_window__is_its_name(boss: Client) -> None:
    page = boss.get(reverse("admin:prompts_prompt_changelist"))
    assert page.context["title"] == "Prompts"


@pytest.mark.parametrize(
    ("label", "events"), [("prompts.prompt", PromptEvent), ("flags.flag", FlagEvent)]
)
def test_history__of_what_has_events__lists_them(
    boss: Client, label: str, events: Any
) -> None:
    row = make_flag() if label == "flags.flag" else make_prompt()
    url = reverse(f"admin:{label.replace('.', '_')}_history", args=[row.pk])
    page = boss.get(url, follow=True)
    [shown] = page.context["cl"].result_list
    assert isinstance(shown, events)


def test_deletion__kept_by_other_rows__says_what_to_do_instead(boss: Client) -> None:
    key, _ = make_api_key()
    url = reverse("admin:billing_customer_delete", args=[key.customer_id])
    text = boss.get(url).content.decode()
    assert "Suspend the customer" in text
    assert reverse("admin:billing_customer_change", args=[key.customer_id]) in text


def test_refused_and_missing__as_a_page__say_so_with_a_way_back(boss: Client) -> None:
    row = make_usage()
    refused = boss.get(reverse("admin:billing_usage_delete", args=[row.pk]))
    missing = boss.get("/admin/nothing/")
    for page, status, said in (
        (refused, 403, b"You are not allowed to do this"),
        (missing, 404, b"Page not found"),
    ):
        assert page.status_code == status
        assert said in page.content
        assert b'href="/admin/"' in page.content


def test_crash__as_a_page__says_so_without_a_traceback(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss.raise_request_exception = False
    monkeypatch.setattr("valuecanvas.site.dashboard.fill", None)
    page = boss.get("/admin/")
    assert page.status_code == 500
    assert b"An error occurred" in page.content
    assert b"Traceback" not in page.content


def test_counters__of_a_customer__are_named_and_linked(boss: Client) -> None:
    customer = make_customer("ann@example.com")
    make_counter("c", str(customer.pk), "2026-11-23")
    make_counter("g", "", "2026-11-23")
    text = boss.get(reverse("admin:billing_counter_changelist")).content.decode()
    link = reverse("admin:billing_customer_change", args=[customer.pk])
    assert f'<a class="vc-link" href="{link}">ann@example.com</a>' in text
    counter = Counter.objects.get(scope="c")
    page = reverse("admin:billing_counter_change", args=[quoted(counter.key)])
    assert "ann@example.com" in boss.get(page).content.decode()


def quoted(key: str) -> str:
    return key.replace("_", "_5F").replace(":", "_3A")
