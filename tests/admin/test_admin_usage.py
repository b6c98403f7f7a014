"""The list of requests: fast whatever its size; and one request in full."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.models import Usage
from prompts.models import Prompt
from tests.admin.rows import make_attempt, make_reservation, make_usage
from tests.fixtures_billing import (
    make_api_key,
    make_customer,
    make_model,
    make_provider,
    make_team,
)
from valuecanvas.core.admin import large_table

LIST = "/admin/billing/usage/"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """A small meaning of 'too many'."""
    monkeypatch.setattr(large_table, "MOST_ROWS", 3)
    return 3


@pytest.fixture
def analysed(db: None) -> Iterator[None]:
    """Five rows that PostgreSQL knows of."""
    for _ in range(5):
        make_usage()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE llm_usage")
    yield


def found(client: Client, **query: str) -> list[Usage]:
    rows: list[Usage] = client.get(LIST, query).context["cl"].result_list
    return rows


def test_list__many_rows__guessed_not_counted(
    boss: Client, few: int, analysed: None
) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = boss.get(LIST)
    assert "about 5 requests" in answer.content.decode()
    asked = [one["sql"] for one in queries if "llm_usage" in one["sql"]]
    assert not any("COUNT" in one for one in asked)
    assert len(asked) == 2  # the guess, and the rows


def test_list__many_matches__counted_no_further_than_shown(
    boss: Client, few: int, analysed: None
) -> None:
    text = boss.get(LIST, {"outcome": "ok"}).content.decode()
    assert "3 or more requests" in text


def test_list__few_rows__counted(boss: Client, db: None) -> None:
    make_usage()
    assert "1 request" in boss.get(LIST).content.decode()


def test_count__too_slow__unknown(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Usage.objects.extra(where=["pg_sleep(60) IS NOT NULL"]).order_by("id")
    make_usage()
    monkeypatch.setattr(large_table, "COUNT_TIMEOUT_MS", 20)
    assert large_table.bounded_count(slow) is None
    paginator = large_table.EstimatedPaginator(slow, 10)
    assert paginator.count == large_table.MOST_ROWS
    assert paginator.cut


def test_estimate__no_such_table__none(db: None) -> None:
    assert large_table.estimate("no_such_table") == -1


def test_list__heavy_columns__are_left_out(boss: Client, db: None) -> None:
    make_usage()
    row = found(boss)[0]
    assert {"flags", "marks", "trace_id"} <= row.get_deferred_fields()


def test_list__any_sorting_asked__stays_in_the_index(boss: Client, db: None) -> None:
    make_usage()
    with CaptureQueriesContext(connection) as queries:
        boss.get(LIST, {"o": "6"})
    listed = [one["sql"] for one in queries if "ORDER BY" in one["sql"]]
    assert '"llm_usage"."created_at" DESC, "llm_usage"."id" DESC' in listed[-1]


def test_search__each_way__finds_the_row(boss: Client, db: None) -> None:
    key, text = make_api_key()
    make_usage()
    usage = make_usage(key.customer, key=key.pk)
    for asked in (str(usage.pk), key.pk, text, f"vc-{key.pk}-…", usage.user_id):
        assert found(boss, q=asked) == [usage], asked


def test_search__user_whose_id_is_a_uuid__found(boss: Client, db: None) -> None:
    customer = make_customer("0f3c2d1e-1111-4222-8333-123456789abc")
    usage = make_usage(customer)
    assert found(boss, q=customer.user_id) == [usage]


def test_search__part_of_a_name__finds_nothing(boss: Client, db: None) -> None:
    usage = make_usage()
    assert found(boss, q=usage.user_id[:-1]) == []


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"outcome": "failed"}, {"status": "error", "error_code": "upstream_timeout"}),
        ({"outcome": "ok"}, {"status": "ok"}),
        ({"cached": "1"}, {"cached": True}),
        ({"cached": "0"}, {"cached": False}),
        ({"model": "m-9"}, {"model": "m-9"}),
        ({"provider": "p-9"}, {"provider": "p-9"}),
        ({"team": "t-9"}, {"team": "t-9"}),
        ({"prompt_key": "p.9"}, {"prompt_key": "p.9"}),
    ],
)
def test_filter__one_column__only_those(
    boss: Client, db: None, query: dict[str, str], fields: dict[str, Any]
) -> None:
    make_model("m-9"), make_provider("p-9"), make_team("t-9")
    Prompt.objects.create(key="p.9")
    other = {"status": "ok" if fields.get("status") == "error" else "error"}
    if "cached" in fields:
        other["cached"] = not fields["cached"]  # type: ignore[assignment]
    make_usage(**other)
    wanted = make_usage(**fields)
    assert found(boss, **query) == [wanted]


def test_filter__name_that_is_gone__can_still_be_asked(boss: Client, db: None) -> None:
    usage = make_usage(model="retired")
    assert found(boss, model="retired") == [usage]


@pytest.mark.parametrize(
    ("begin", "end", "wanted"),
    [
        (("2026-03-04", ""), ("", ""), [4, 5]),
        (("", ""), ("2026-03-04", ""), [3, 4]),
        (("2026-03-04", "12:00:00"), ("2026-03-04", "12:00:00"), [4]),
        (("2026-03-04", "12:00:01"), ("2026-03-05", "11:59:59"), []),
        (("2026-02-30", ""), ("soon", "later"), [3, 4, 5]),
    ],
)
def test_filter__times__from_and_to(
    boss: Client, db: None, begin: Any, end: Any, wanted: list[int]
) -> None:
    for day in (3, 4, 5):
        make_usage(created_at=datetime(2026, 3, day, 12, tzinfo=UTC))
    names = ("from_0", "from_1", "to_0", "to_1")
    query = dict(
        zip((f"created_at_{name}" for name in names), (*begin, *end), strict=True)
    )
    assert sorted(one.created_at.day for one in found(boss, **query)) == wanted


def test_detail__failed_attempts__listed_below(boss: Client, db: None) -> None:
    usage = make_usage(
        status="error", error_code="upstream_timeout", marks=["refunded"]
    )
    make_attempt(request_id=usage.pk, error="reset by peer")
    make_attempt(error="of another request")
    page = reverse("admin:billing_usage_change", args=[usage.pk])
    text = boss.get(page).content.decode()
    assert "reset by peer" in text
    assert "of another request" not in text
    assert "error: upstream_timeout" in text
    assert "no unit of quota was taken, or it was given back" in text


def test_detail__made_by_a_prompt__links_to_it_while_it_is_there(
    boss: Client, db: None
) -> None:
    prompt = Prompt.objects.create(key="p.9")
    usage = make_usage(prompt_key="p.9", prompt_version=2)
    page = reverse("admin:billing_usage_change", args=[usage.pk])
    there = reverse("admin:prompts_prompt_change", args=[prompt.pk])
    assert f'href="{there}">p.9</a>' in boss.get(page).content.decode()
    prompt.delete()
    text = boss.get(page).content.decode()
    assert "p.9" in text
    assert there not in text


def test_detail__answered_at_once__says_so(boss: Client, db: None) -> None:
    page = reverse("admin:billing_usage_change", args=[make_usage().pk])
    assert "the first provider answered" in boss.get(page).content.decode()


@pytest.mark.parametrize(
    ("fields", "tried", "said"),
    [
        ({"error_code": "process_died", "status": "abandoned"}, False, ("process ended", "some-provider")),
        ({"error_code": "client_gone", "status": "client_gone"}, False, ("closed its connection",)),
        ({"error_code": "stream_interrupted", "status": "interrupted"}, True, ("ended early", "503: overloaded")),
        ({"error_code": "upstream_timeout"}, True, ("upstream_timeout", "some-provider", "503: overloaded", "too slow")),
        ({"error_code": "model_unpriced", "provider": ""}, False, ("model_unpriced", "No provider was called", "Add a price")),
        ({"error_code": "<b>odd</b>", "provider": ""}, False, ("&lt;b&gt;odd", "No provider was called")),
        ({"error_code": ""}, False, ("got the error error",)),
    ],
)  # fmt: skip
def test_detail__failed_request__says_what_failed(
    boss: Client, db: None, fields: dict[str, str], tried: bool, said: tuple[str, ...]
) -> None:
    usage = make_usage(**{"status": "error", **fields})
    if tried:
        make_attempt(request_id=usage.pk)
    text = boss.get(reverse("admin:billing_usage_change", args=[usage.pk])).content
    assert "first provider answered" not in text.decode()
    shown = (
        text.decode()
        .split("Why the request was not answered")[1]
        .split("</section>")[0]
    )
    assert [one for one in said if one not in shown] == []


def test_detail__correction__says_that_nothing_was_sent(boss: Client, db: None) -> None:
    row = make_usage(status="correction", corrects=make_usage().pk)
    text = boss.get(reverse("admin:billing_usage_change", args=[row.pk])).content
    assert b"nothing was sent" in text
    assert b"Why the request was not answered" not in text


@pytest.mark.parametrize("wrong", ["nothing", "0f3c2d1e-1111-4222-8333-123456789abc"])
def test_detail__unknown_id__back_to_the_start(boss: Client, wrong: str) -> None:
    answer = boss.get(reverse("admin:billing_usage_change", args=[wrong]))
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_reservations__lease_ran_out__marked(boss: Client, db: None) -> None:
    make_reservation(lease_until=timezone.now() - timedelta(minutes=2))
    make_reservation()
    text = boss.get("/admin/billing/reservation/").content.decode()
    assert "lease expired" in text
    assert "running" in text
