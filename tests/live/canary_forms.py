"""Canaries in every form of the admin, and in pages that crash."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from llm.models import Provider
from tests.admin.crawl import paths
from tests.admin.page_forms import WORDS, SentForm, read_forms
from tests.live.canaries import CANARIES, SECRET
from tests.live.world import Answer, World, unique

CRASH = "It cannot keep"
BREAK = f"""
CREATE FUNCTION refuse_team() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION '{CRASH} %', NEW.name; END $$ LANGUAGE plpgsql;
CREATE TRIGGER refuse_team BEFORE INSERT ON billing_team
FOR EACH ROW EXECUTE FUNCTION refuse_team();
"""
MEND = "DROP FUNCTION refuse_team() CASCADE"
SECRET_FIELDS = {
    "new_key", "password1", "password2", "signing_secret", "slack_url", "integration_key",
}  # fmt: skip
# Forms that would end the session.
ENDINGS = ("/admin/logout/",)


def plant_in_forms(world: World) -> None:
    """Every form of the admin, sent by a superuser with canaries in its fields."""
    pages, cookie = world.db(paths), world.db(log_in)
    sent: set[str] = set()
    for page in pages:
        answer = world.request(page, key="", cookie=cookie)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        for form in read_forms(page, answer.body.decode()):
            if form.url in ENDINGS:
                continue
            # What a visitor would write: of each kind in turn, as far as it has room.
            planted = {
                name: CANARIES[len(name) % len(CANARIES)]
                for name, values in form.fields.items()
                if values == [WORDS]
            }
            # What is a record can be looked at only.
            if _send(world, cookie, form, planted).status not in (401, 403):
                sent.add(form.url)
            if secrets := form.fields.keys() & SECRET_FIELDS:
                # Alone, so that a form is not refused for its other fields.
                alone = dict.fromkeys([*planted, "forget_key"], ())
                _send(world, cookie, form, alone | dict.fromkeys(secrets, SECRET))
    assert len(sent) > 100
    # A provider's key was taken, and sealed.
    rows = world.db(lambda: list(Provider.objects.all()))
    assert SECRET in {row.open_key() for row in rows}


def log_in() -> str:
    """The cookies of a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser(unique("canary"), password="x"))
    return f"sessionid={client.cookies['sessionid'].value}; csrftoken={'c' * 32}"


def plant_in_crashes(world: World) -> None:
    """Pages that crash with an error of the database, which has what was to be stored."""
    cookie = world.db(log_in)
    page = "/admin/billing/team/add/"
    world.db(_execute, BREAK)
    try:
        for text in CANARIES[:3]:
            shown = world.request(page, key="", cookie=cookie).body.decode()
            [form] = [one for one in read_forms(page, shown) if "name" in one.fields]
            answer = _send(world, cookie, form, {"key": unique("t"), "name": text})
            assert answer.status == 500
    finally:
        world.db(_execute, MEND)


def _send(
    world: World, cookie: str, form: SentForm, changed: Mapping[str, Any]
) -> Answer:
    body = urlencode({**form.fields, **changed}, doseq=True).encode()
    kind = "application/x-www-form-urlencoded"
    return world.request(form.url, body, key="", cookie=cookie, content_type=kind)


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
