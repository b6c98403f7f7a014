"""Jobs, batches and files in the admin: what is shown to whom, and what may be done."""

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from llm.admin.jobs.job_page import UNREADABLE
from llm.models import BatchState, Job, JobBatch, JobFile, JobFilePart, JobState
from tests.admin.job_rows import attempt_of, make_batch, make_job, make_job_file
from tests.admin.rows import make_usage
from tests.browser.planting import PAYLOADS
from tests.fixtures_billing import make_customer, make_team

pytestmark = pytest.mark.django_db
LIST = "/admin/llm/job/"
STATES = [state.value for state in JobState]


def page(row: Any, kind: str = "change") -> str:
    return reverse(f"admin:llm_{row._meta.model_name}_{kind}", args=[row.pk])


def found(client: Client, url: str = LIST, **query: Any) -> set[Any]:
    """The rows that a list shows."""
    return set(client.get(url, query).context["cl"].result_list)


def choose(client: Client, name: str, rows: list[Job], **more: Any) -> Any:
    data = {"action": f"{name}_selected", "_selected_action": [row.pk for row in rows]}
    return client.post(LIST, {**data, **more})


def states(*jobs: Job) -> list[str]:
    found = dict(Job.objects.values_list("pk", "state"))
    return [found[job.pk] for job in jobs] if jobs else [*found.values()]


# -- the list --------------------------------------------------------------------------


def test_list__filters__find_their_jobs(operator: Client) -> None:
    bob = make_customer("bob", team=make_team("acme"))
    batch = make_batch()
    jobs = {
        "dead": make_job("dead"),
        "embedding": make_job(type="embedding"),
        "bob": make_job(customer=bob),
        "line": make_job(batch=batch, line=3),
        "tagged": make_job(tags=["nightly", "x"]),
    }
    for query, name in (
        ({"state__exact": "dead"}, "dead"),
        ({"type": "embedding"}, "embedding"),
        ({"customer": "bob"}, "bob"),
        ({"customer": str(bob.pk)}, "bob"),
        ({"batch": str(batch.pk)}, "line"),
        ({"tag": "nightly"}, "tagged"),
    ):
        assert found(operator, **query) == {jobs[name]}, query
    assert found(operator, batch="nonsense") == set()
    assert len(found(operator, tag=" ")) == 5


def test_list__search__is_by_a_whole_id_or_user(operator: Client) -> None:
    bob = make_customer("bob")
    job, other = make_job(customer=bob), make_job()
    usage = make_usage(job=str(other.pk))
    assert found(operator, q=str(job.pk)) == {job}
    assert found(operator, q="bob") == {job}
    assert found(operator, q=str(bob.pk)) == {job}
    assert found(operator, q=str(usage.pk)) == {other}
    assert found(operator, q="bo") == set()
    assert found(operator, q=str(make_usage().pk)) == set()


@pytest.mark.parametrize(
    "kind", ["", "state__exact=dead", "type=completion", "q=nobody"]
)
def test_list__ten_thousand_jobs__needs_no_more_queries(
    operator: Client, kind: str
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(f"{LIST}?{kind}").status_code == 200
        return len(queries)

    first = make_job("dead")
    before = count()
    with connection.cursor() as cursor:
        columns = [
            one.column for one in Job._meta.concrete_fields if one.column != "id"
        ]
        names = ", ".join(f'"{one}"' for one in columns)
        cursor.execute(
            f"INSERT INTO llm_job (id, {names}) SELECT gen_random_uuid(), {names} "  # noqa: S608
            "FROM llm_job, generate_series(1, 10000) WHERE id = %s",
            [first.pk],
        )
    assert count() == before <= 12


# -- acts on many ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "states_before", "states_after"),
    [
        (
            "retry",
            STATES,
            ["queued", "running", "succeeded", "queued", "queued", "queued"],
        ),
        (
            "cancel",
            STATES,
            ["cancelled", "cancelled", "succeeded", "failed", "dead", "cancelled"],
        ),
        (
            "replay",
            STATES,
            ["queued", "running", "succeeded", "failed", "queued", "cancelled"],
        ),
    ],
)
def test_act__on_jobs_of_each_state__is_asked_for_counted_and_logged(
    operator: Client, name: str, states_before: list[str], states_after: list[str]
) -> None:
    jobs = [make_job(state, attempts=3) for state in states_before]
    changed = sum(a != b for a, b in zip(states_before, states_after, strict=True))
    asked = choose(operator, name, jobs)
    assert f"{changed} job" in asked.content.decode()
    assert states(*jobs) == states_before
    done = choose(operator, name, jobs, confirmed="1")
    assert done.status_code == 302
    assert states(*jobs) == states_after
    text = operator.get(LIST).content.decode()
    assert f": {changed} job" in text
    # The customer reads the error; only the audit log names people.
    assert not Job.objects.filter(error__contains="olga").exists()
    entries = LogEntry.objects.filter(user__username="olga")
    assert entries.count() == len(jobs)
    if name != "cancel":
        assert {one.attempts for one in Job.objects.filter(state="queued")} <= {0, 3}
        assert Job.objects.get(pk=jobs[4].pk).attempts == 0


def test_act__on_all_that_the_list_finds__keeps_the_filter(operator: Client) -> None:
    for _ in range(60):
        make_job("dead")
    make_job("dead", type="embedding")
    url = f"{LIST}?state__exact=dead&type=completion"
    data = {"action": "replay_selected", "_selected_action": "x", "select_across": "1"}
    asked = operator.post(url, data)
    assert "60 jobs" in asked.content.decode()
    assert Job.objects.filter(state="queued").count() == 0
    hidden = dict(asked.context["hidden"])
    assert hidden == {
        "action": "replay_selected", "confirmed": "1", "_selected_action": "all",
        "select_across": "1",
    }  # fmt: skip
    operator.post(url, hidden)
    assert Job.objects.filter(state="queued").count() == 60
    assert Job.objects.get(state="dead").type == "embedding"
    entry = LogEntry.objects.get()
    assert "type=completion" in entry.object_repr
    assert entry.change_message == "Queued again: 60 jobs."


@pytest.mark.parametrize("who", ["auditor", "newcomer"])
def test_act__without_the_right__is_refused(
    who: str, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(who)
    job = make_job("dead")
    choose(client, "retry", [job], confirmed="1")
    for name in ("retry", "cancel"):
        assert client.post(page(job, name), {}).status_code == 403
    assert states() == ["dead"]
    if who == "auditor":
        assert "retry_selected" not in client.get(LIST).content.decode()
        assert page(job, "retry") not in client.get(page(job)).content.decode()


# -- one job ---------------------------------------------------------------------------


def test_page__of_a_job__shows_attempts_with_their_requests_and_costs(
    operator: Client,
) -> None:
    now = timezone.now()
    usage = make_usage(cost_usd=Decimal("0.125"))
    refused = attempt_of(now - timedelta(minutes=2), worker="gone")
    billed = attempt_of(now - timedelta(minutes=1), attempt=2, request_id=str(usage.pk), error_code="", error="")  # fmt: skip
    job = make_job(
        "succeeded",
        created_at=now - timedelta(minutes=3),
        history=[refused, billed],
        tags=["nightly"],
        batch=make_batch(),
        line=7,
    )
    text = operator.get(page(job)).content.decode()
    assert reverse("admin:billing_usage_change", args=[usage.pk]) in text
    assert refused["request_id"] in text
    assert (
        reverse("admin:billing_usage_change", args=[refused["request_id"]]) not in text
    )
    assert "$0.125" in text
    assert "upstream_error: overloaded" in text
    assert "nightly" in text
    assert "line 7" in text
    order = [text.index(one) for one in ("Submitted", "Attempt 1", "Attempt 2")]
    assert order == sorted(order)


def test_page__of_a_running_job__shows_the_attempt_under_way(operator: Client) -> None:
    job = make_job("running", attempts=2, started_at=timezone.now())
    text = operator.get(page(job)).content.decode()
    assert "Attempt 2 began" in text
    assert page(job, "cancel") in text
    assert page(job, "retry") not in text


def test_page__of_a_job_freed_from_a_lost_worker__shows_its_attempt(
    operator: Client,
) -> None:
    lost = {"attempt": 1, "started": None, "ended": None, "error_code": "worker_lost"}
    text = operator.get(page(make_job(history=[lost]))).content.decode()
    assert "worker_lost" in text


@pytest.mark.parametrize("state", STATES)
def test_buttons__for_each_state__do_what_they_say(
    operator: Client, state: str
) -> None:
    job = make_job(state)
    text = operator.get(page(job)).content.decode()
    for name, wanted in (("retry", "queued"), ("cancel", "cancelled")):
        if page(job, name) in text:
            assert operator.get(page(job, name)).status_code == 200
            answer = operator.post(page(job, name), {})
            assert answer["Location"] == page(job)
            job.refresh_from_db()
            assert job.state == wanted
            assert LogEntry.objects.exists()


def test_button__after_somebody_else_was_faster__says_so(operator: Client) -> None:
    job = make_job("dead")
    assert operator.post(page(job, "retry"), {}).status_code == 302
    answer = operator.post(page(job, "retry"), {})
    assert answer.status_code == 422
    assert "Not possible: the job is queued" in answer.content.decode()


def test_line_of_a_batch__failed__has_no_retry(operator: Client) -> None:
    job = make_job("failed", batch=make_batch(), line=1)
    assert page(job, "retry") not in operator.get(page(job)).content.decode()


# -- input and answer ------------------------------------------------------------------


@pytest.fixture
def reader(db: None) -> Client:
    """Staff who may read what customers sent."""
    user = User.objects.create_user("rita", is_staff=True)
    names = ("view_job", "view_job_content")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def test_content__with_the_right__is_decrypted_and_the_reading_recorded(
    reader: Client,
) -> None:
    job = make_job("succeeded", body={"model": "Ghent"}, answer=b'{"a":"Bruges"}')
    assert "Ghent" not in reader.get(page(job)).content.decode()
    text = reader.get(page(job, "content")).content.decode()
    assert "&quot;model&quot;: &quot;Ghent&quot;" in text
    assert "Bruges" in text
    assert LogEntry.objects.get().change_message == "Read the input and the answer."


def test_content__without_answer_or_of_another_key__says_so(reader: Client) -> None:
    job = make_job(answer=b"")
    assert "There is none" in reader.get(page(job, "content")).content.decode()
    other = make_job()
    Job.objects.filter(pk=job.pk).update(sealed=other.sealed)
    assert UNREADABLE in reader.get(page(job, "content")).content.decode()


def test_content__that_is_no_json_or_very_long__is_shown_as_text(
    reader: Client,
) -> None:
    job = make_job("succeeded", body={"x": "y" * 300_000}, answer=b"\xff<b>plain")
    text = reader.get(page(job, "content")).content.decode()
    assert "&lt;b&gt;plain" in text
    assert "… shortened" in text
    assert len(text) < 300_000


@pytest.mark.parametrize("who", ["operator", "auditor", "newcomer"])
def test_content__of_each_built_in_group__is_refused(
    who: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    client: Client = request.getfixturevalue(who)
    job = make_job("succeeded", body={"model": "Ghent"}, answer=b'"Bruges"')
    assert client.get(page(job, "content")).status_code == 403
    assert page(job, "content") not in client.get(page(job)).content.decode()
    assert "Ghent" not in caplog.text


# -- markup ----------------------------------------------------------------------------


def test_pages__markup_in_each_text__is_escaped(boss: Client) -> None:
    evil, now = PAYLOADS[0], timezone.now()
    texts = {
        "user_id": PAYLOADS[1],
        "error": evil,
        "error_code": evil[:80],
        "tags": [evil[:40]],
    }
    entry = attempt_of(now, error=evil, error_code=evil, request_id=evil, attempt=evil)
    batch = make_batch(
        user_id=evil[:200],
        metadata={evil: evil},
        errors=[{"line": 1, "code": evil, "message": evil, "param": evil}],
        file=make_job_file(filename=PAYLOADS[1]),
    )
    job = make_job("succeeded", body={evil: evil}, answer=b"<x-planted>", batch=batch, line=1, custom_id=evil[:256], model=evil[:200], callback_url=evil, history=[entry], **texts)  # fmt: skip
    pages = [page(job), page(job, "content"), page(batch), page(batch.file), LIST]
    pages += ["/admin/llm/jobbatch/", "/admin/llm/jobfile/", page(batch, "cancel")]
    for url in pages:
        text = boss.get(url).content.decode()
        assert "<x-planted" not in text, url
    assert "&lt;x-planted" in boss.get(page(job)).content.decode()


# -- batches and files -----------------------------------------------------------------


def test_batch__page__shows_progress_wrong_lines_and_jobs(operator: Client) -> None:
    errors = [{"line": n, "code": "invalid_json", "message": "No JSON.", "param": None} for n in range(1, 203)]  # fmt: skip
    batch = make_batch(errors=errors, total=7, succeeded=2, failed=1)
    text = operator.get(page(batch)).content.decode()
    assert "42 % of 7 lines" in text
    assert "<td>200</td><td>invalid_json</td>" in text
    assert "And 2 more." in text
    assert f"{LIST}?batch={batch.pk}" in text
    empty = make_batch(total=0, succeeded=0, failed=0)
    assert "0 % of 0 lines" in operator.get(page(empty)).content.decode()


def test_batch__search_and_filters__find_it(operator: Client) -> None:
    url = "/admin/llm/jobbatch/"
    bob = make_customer("bob")
    batch = make_batch(customer_id=bob.pk, user_id="bob", tags=["nightly"])
    make_batch(state=BatchState.FAILED)
    for query in ({"q": str(batch.pk)}, {"q": f"batch_{batch.pk.hex}"}, {"q": "bob"}, {"customer": "bob"}, {"tag": "nightly"}, {"state__exact": "in_progress"}):  # fmt: skip
        assert found(operator, url, **query) == {batch}, query


def test_batch__cancelled_by_an_operator__ends(operator: Client) -> None:
    batch = make_batch()
    assert page(batch, "cancel") in operator.get(page(batch)).content.decode()
    line = make_job(batch=batch, line=1)
    assert operator.post(page(batch, "cancel"), {}).status_code == 302
    batch.refresh_from_db()
    line.refresh_from_db()
    assert batch.state in (BatchState.CANCELLING, BatchState.CANCELLED)
    assert line.state == "cancelled"
    ended = make_batch(state=BatchState.COMPLETED)
    assert page(ended, "cancel") not in operator.get(page(ended)).content.decode()
    answer = operator.post(page(ended, "cancel"), {})
    assert "Not possible: the batch is completed." in answer.content.decode()


def test_batch__cancelled_without_the_right__is_refused(auditor: Client) -> None:
    batch = make_batch()
    assert page(batch, "cancel") not in auditor.get(page(batch)).content.decode()
    assert auditor.post(page(batch, "cancel"), {}).status_code == 403


def test_file__deleted__goes_with_its_parts_and_leaves_its_batch(
    operator: Client, auditor: Client
) -> None:
    file = make_job_file()
    batch = make_batch(file=file)
    assert "1.2\u00a0KB" in operator.get("/admin/llm/jobfile/").content.decode()
    assert auditor.post(page(file, "remove"), {}).status_code == 403
    refused = operator.post(page(file, "remove"), {})
    assert "needs this file" in refused.content.decode()
    JobBatch.objects.update(state=BatchState.COMPLETED)
    answer = operator.post(page(file, "remove"), {})
    assert answer["Location"] == "/admin/llm/jobfile/"
    assert not JobFile.objects.exists()
    assert not JobFilePart.objects.exists()
    assert JobBatch.objects.get(pk=batch.pk).file is None
    assert LogEntry.objects.get().object_id == str(file.pk)


def test_file__search__is_by_a_whole_id_or_user(operator: Client) -> None:
    file = make_job_file()
    make_job_file()
    url = "/admin/llm/jobfile/"
    assert found(operator, url, q=str(file.pk)) == {file}
    assert found(operator, url, q=f"file-{file.pk.hex}") == {file}
    assert found(operator, url, q=str(file.customer_id)) == {file}


# -- races -----------------------------------------------------------------------------


def at_once(*calls: Callable[[], Any]) -> None:
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        ready.wait()
        try:
            call()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[one]) for one in calls]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


@pytest.mark.django_db(transaction=True)
def test_acts__two_operators_at_once__each_job_is_counted_once(boss: Client) -> None:
    jobs = [make_job("dead") for _ in range(40)]
    second = Client()
    second.force_login(User.objects.create_superuser("bill"))
    at_once(
        lambda: choose(boss, "retry", jobs, confirmed="1"),
        lambda: choose(second, "retry", jobs[::-1], confirmed="1"),
    )
    assert set(states()) == {"queued"}
    texts = {
        entry.change_message
        for entry in LogEntry.objects.filter(change_message__startswith="Queued")
    }
    counts = sorted(int(one.split()[2]) for one in texts)
    assert sum(counts) == 40


@pytest.mark.django_db(transaction=True)
def test_acts__retry_and_cancel_at_once__end_in_one_of_the_two(boss: Client) -> None:
    jobs = [make_job(state) for state in ("dead", "queued") * 20]
    second = Client()
    second.force_login(User.objects.create_superuser("bill"))
    at_once(
        lambda: choose(boss, "retry", jobs, confirmed="1"),
        lambda: choose(second, "cancel", jobs, confirmed="1"),
    )
    assert set(states()) <= {"queued", "cancelled", "dead"}
    ended = Job.objects.exclude(state="queued")
    assert not ended.filter(finished_at=None).exists()
    assert not Job.objects.filter(state="queued").exclude(finished_at=None).exists()
