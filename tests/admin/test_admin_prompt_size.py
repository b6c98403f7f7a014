"""Pages of prompts at 2,000 prompts of 20 versions: no more queries than at a few."""

from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from prompts.models import Label, Prompt, PromptEvent, PromptVersion
from tests.admin.prompt_rows import make_prompt

PROMPTS, VERSIONS = 2000, 20


def copy(model: type[Model], source: str, **changed: str) -> None:
    """Copy the rows `o` of `source`, an SQL FROM, with other values for some columns."""
    names = [field.column for field in model._meta.concrete_fields if field.column != "id"]  # fmt: skip
    values = [changed.get(name, f"o.{name}") for name in names]
    table = model._meta.db_table
    into, taken = ", ".join(names), ", ".join(values)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({into}) SELECT {taken} FROM {table} o {source}"  # noqa: S608
        )


def stock(name: str, prompts: int, like: Prompt) -> None:
    """So many prompts with all that one has: versions, a label, a history."""
    copies = (
        f"JOIN prompts_prompt p ON p.key LIKE '{name}.%' WHERE o.prompt_id = {like.pk}"
    )
    copy(
        Prompt,
        f"CROSS JOIN generate_series(1, {prompts}) n WHERE o.id = {like.pk}",
        key=f"'{name}.' || n",
        folder="'shelf-' || n % 40",
    )
    copy(PromptVersion, copies, prompt_id="p.id")
    copy(PromptEvent, copies, prompt_id="p.id")
    pointed = "JOIN prompt_versions v ON v.id = o.version_id "
    same = "JOIN prompt_versions w ON w.prompt_id = p.id AND w.number = v.number "
    copy(
        Label,
        copies.replace("WHERE", f"{pointed}{same}WHERE"),
        prompt_id="p.id",
        version_id="w.id",
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def test_list_and_page__two_thousand_prompts_of_twenty_versions__no_more_queries(
    boss: Client,
) -> None:
    listing = reverse("admin:prompts_prompt_changelist")
    prompt = make_prompt("stock.first", versions=VERSIONS, live=VERSIONS - 1)
    events = reverse("admin:prompts_promptevent_changelist")
    urls = [
        listing,
        f"{listing}?q=stock",
        f"{listing}?folder=shelf-1",
        f"{listing}?p=2",
        f"{events}?prompt={prompt.pk}",
        reverse("admin:prompts_prompt_change", args=[prompt.pk]),
        reverse("admin:prompts_prompt_compare", args=[prompt.pk]),
        reverse("admin:prompts_prompt_rollback", args=[prompt.pk]),
    ]

    def queries() -> dict[str, int]:
        found = {}
        for url in urls:
            with CaptureQueriesContext(connection) as captured:
                assert boss.get(url).status_code == 200
            found[url] = len(captured)
        return found

    # More than a page of the list, so that there is a second one.
    stock("some.stock", 60, prompt)
    queries()  # content types and such are looked up once
    few = queries()
    stock("more.stock", PROMPTS, prompt)
    assert PromptVersion.objects.count() >= PROMPTS * VERSIONS
    assert queries() == few
    assert max(few.values()) <= 25
