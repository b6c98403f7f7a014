"""FIELD_KEY is rotated: every column of sealed values, beside a running server."""

import base64
import hashlib
import io
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import BinaryField

from llm.jobs import files
from llm.jobs.owner import owner_of_customer
from llm.jobs.submission import open_body
from llm.jobs.worker.execution import result_owner
from llm.models import Job, JobFilePart, JobResult, Provider
from tests.admin.rows import make_webhook
from tests.fixtures_billing import make_customer, make_provider
from tests.llm.jobs.job_rows import make_job
from valuecanvas.core import crypto
from valuecanvas.core.db import epoch, sealed_columns
from valuecanvas.core.db.sealed_columns import SealedColumn, find_columns, reseal
from valuecanvas.core.fields import SealedField
from valuecanvas.core.webhooks.models import WebhookEndpoint

# Bytes that no FIELD_KEY has sealed: answers as they were sent.
PLAIN = {"billing.IdempotencyKey.body"}
# Sealed for an hour, and purged within the day.
SHORT_LIVED = {"core.FormResult.body"}


def make_key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


@pytest.fixture
def rotate(settings: Any) -> Any:
    """Set a new FIELD_KEY; the one before stays readable."""

    def change(name: str = "new") -> None:
        settings.FIELD_KEY_PREVIOUS = [settings.FIELD_KEY]
        settings.FIELD_KEY = make_key(name)

    return change


def seal_as_before_ids(secret: bytes, owner: str, key: str) -> bytes:
    """As the versions did whose values have no id of their key."""
    nonce = os.urandom(12)
    cipher = AESGCM(base64.b64decode(key))
    return nonce + cipher.encrypt(nonce, secret, owner.encode())


def test_columns__of_bytes__are_sealed_or_on_the_list() -> None:
    """A new column of secrets cannot be forgotten by the rotation."""
    own = {
        f"{model._meta.label}.{field.attname}": field
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, BinaryField)
    }
    kept = {str(column) for column in find_columns()}
    assert {name for name, f in own.items() if not isinstance(f, SealedField)} == PLAIN
    assert own.keys() - kept - PLAIN == SHORT_LIVED
    assert len(kept) >= 6


def test_unseal__of_a_previous_key__is_readable_until_it_is_taken_away(
    settings: Any, rotate: Any
) -> None:
    old = crypto.seal("s3cret", "me")
    older = seal_as_before_ids(b"s3cret", "me", settings.FIELD_KEY)
    assert crypto.unseal(older, "me") == "s3cret"
    rotate()
    new = crypto.seal("s3cret", "me")
    assert old[: crypto.HEADER] != new[: crypto.HEADER] == crypto.present_header()
    for sealed in (old, older, new):
        assert crypto.unseal(sealed, "me") == "s3cret"
        with pytest.raises(crypto.UnreadableSecret):
            crypto.unseal(sealed, "you")
    settings.FIELD_KEY_PREVIOUS = []
    for sealed in (old, older, b"", b"\x01", new[:-1]):
        with pytest.raises(crypto.UnreadableSecret):
            crypto.unseal(sealed, "me")
    assert crypto.unseal(new, "me") == "s3cret"


def make_rows() -> None:
    """A row in each column of sealed values."""
    make_provider("sealed", api_key="sk-provider")
    endpoint = make_webhook().endpoint
    sealed = bytes(endpoint.secret_sealed)
    WebhookEndpoint.objects.update(previous_sealed=sealed)
    job = make_job()
    JobResult.objects.create(
        job=job,
        status=200,
        sealed=crypto.seal_bytes(b"an answer", result_owner(job.pk)),
        created_at=job.created_at,
    )
    file = files.start_file(owner_of_customer(make_customer()), "a.jsonl", "batch")
    files.add_part(file, 0, b"first")
    files.add_part(file, 1, b"second")


def read_rows() -> list[Any]:
    endpoint = WebhookEndpoint.objects.get()
    result = JobResult.objects.get()
    owner = result_owner(result.job_id)
    return [
        Provider.objects.get(pk="sealed").open_key(),
        endpoint.open_secret(),
        crypto.unseal(bytes(endpoint.previous_sealed or b""), f"webhook:{endpoint.pk}"),
        open_body(Job.objects.get()),
        crypto.unseal_bytes(bytes(result.sealed), owner),
        list(files.read_parts(JobFilePart.objects.all()[0].file_id)),
    ]


@pytest.mark.django_db
def test_rotate_field_keys__all_columns__need_the_old_key_no_more(
    settings: Any, rotate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed_columns, "BATCH", 1)
    make_rows()
    # One as earlier versions sealed it.
    old = seal_as_before_ids(b"second", _part(1), settings.FIELD_KEY)
    JobFilePart.objects.filter(number=1).update(sealed=old)
    before = read_rows()
    rotate()
    for column in find_columns():
        assert reseal(column, write=False).left >= 1, column
    with pytest.raises(CommandError, match=r"^7 are sealed with an earlier key"):
        call_command("rotate_field_keys", "--check", stdout=io.StringIO())
    out = io.StringIO()
    call_command("rotate_field_keys", stdout=out)
    assert "llm.Provider.api_key_sealed: 1 sealed again, 0 with" in out.getvalue()
    assert "FIELD_KEY_PREVIOUS can be taken away" in out.getvalue()
    settings.FIELD_KEY_PREVIOUS = []
    assert read_rows() == before
    out = io.StringIO()
    call_command("rotate_field_keys", "--check", stdout=out)
    assert "Every stored secret is sealed with FIELD_KEY." in out.getvalue()


def _part(number: int) -> str:
    return f"file:{JobFilePart.objects.all()[0].file_id}:{number}"


@pytest.mark.django_db
def test_reseal__a_row_changed_at_that_moment__keeps_the_change(
    rotate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_provider("raced", api_key="sk-one")
    rotate()
    [column] = [one for one in find_columns() if one.model is Provider]

    def change(row: Any) -> str:
        changed = Provider.objects.get(pk="raced")
        changed.set_key("sk-two")
        changed.save()
        owner: str = row._bound_to()
        return owner

    count = reseal(SealedColumn(Provider, column.field, change))
    assert (count.resealed, count.left) == (0, 1)
    assert Provider.objects.get(pk="raced").open_key() == "sk-two"


@pytest.mark.django_db
def test_reseal__what_no_key_opens__is_counted_and_left(settings: Any) -> None:
    make_provider("lost", api_key="sk-one")
    sealed = bytes(Provider.objects.get(pk="lost").api_key_sealed or b"")
    settings.FIELD_KEY = make_key("other")
    [column] = [one for one in find_columns() if one.model is Provider]
    count = reseal(column)
    assert (count.resealed, count.left, count.unreadable) == (0, 0, 1)
    assert bytes(Provider.objects.get(pk="lost").api_key_sealed or b"") == sealed


@pytest.mark.django_db
def test_reseal__of_the_same_secret__raises_no_epoch(rotate: Any) -> None:
    """The secret is the same: no process has to load anything."""
    make_provider("calm", api_key="sk-one")
    before = epoch.current()
    rotate()
    for column in find_columns():
        reseal(column)
    assert epoch.current() == before
