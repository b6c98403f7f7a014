"""export_prompts, import_prompts and rollback_prompt, as an operator runs them."""

import shutil
from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from prompts import services
from prompts.management.operator import operator
from prompts.models import Prompt, PromptEvent, PromptVersion, ProtectedLabel
from prompts.services import PromptActor
from prompts.transfer.export import load_prompt_files
from tests.prompts.rows import (
    ANN,
    events,
    make_prompt,
    make_user,
    move,
    pointed_at,
    told,
)
from tests.tampering import tampering
from valuecanvas.core.db import epoch

pytestmark = pytest.mark.django_db


def run(*words: object) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out)
    return out.getvalue().strip()


def refused(*words: object) -> str:
    with pytest.raises(CommandError) as caught:
        run(*words)
    return str(caught.value)


@pytest.fixture
def shop():
    """Some of everything, with history that no longer can be put together."""
    owner = make_user("owner")
    author = PromptActor.from_user(make_user("writer"))
    tone = make_prompt("{{who}}", "kindly, {{who}}", key="tone", production=1)
    move(tone, 1, "spare")
    talk = services.create_prompt(
        key="talk", kind="chat", folder="a/b", description="d\ne", owner=owner,
        tags=["x"], cache_policy="never", cache_scope="team",
        actor=replace(ANN, is_superuser=True),
    )  # fmt: skip
    services.add_version(
        talk,
        messages=[{"role": "system", "content": "{{> tone@spare}}"}],
        variables=[{"name": "who", "default": 1, "schema": {"type": "integer"}}],
        parameters={"temperature": 0.25, "stop": ["\n"]},
        model="m",
        note="first",
        tags=["t"],
        actor=author,
    )
    services.add_version(
        talk, messages=[{"role": "user", "content": "plain"}], actor=author
    )
    move(talk, 2)
    services.remove_label(tone, "spare", actor=ANN)
    make_prompt(key="empty")
    services.edit_prompt(make_prompt("x", key="gone"), archived=True, actor=ANN)
    return list(load_prompt_files())


def test_export__and_import_into_nothing__give_the_same(shop, tmp_path):
    dry = run("export_prompts", tmp_path, "--dry-run").splitlines()
    assert (len(dry), dry[-1]) == (10, "Would export 4 prompts: 9 files written.")
    assert not list(tmp_path.iterdir())
    assert run("export_prompts", tmp_path).endswith(
        "Exported 4 prompts: 9 files written."
    )
    with tampering():
        Prompt.objects.all().delete()

    told = run("import_prompts", tmp_path)

    assert told.endswith("Imported 4 prompts: 4 created, 0 changed, 0 as they were.")
    assert list(load_prompt_files()) == shop
    row = PromptVersion.objects.get(prompt__key="talk", number=1)
    assert row.author.get_username() == "writer"
    assert Prompt.objects.get(key="talk").owner.get_username() == "owner"
    assert row.digest == shop[2].versions[1].words.digest


def test_export__again__writes_nothing(shop, tmp_path):
    run("export_prompts", tmp_path)
    move(Prompt.objects.get(key="tone"), 2)

    assert run("export_prompts", tmp_path).splitlines() == ["tone/prompt.yaml", "Exported 4 prompts: 1 files written."]  # fmt: skip
    assert run("export_prompts", tmp_path, "tone").endswith(
        "1 prompts: 0 files written."
    )


def test_export__an_unknown_prompt_or_a_file_in_the_way__is_refused(shop, tmp_path):
    (tmp_path / "tone").write_text("a file")

    assert refused("export_prompts", tmp_path, "none").endswith("'none'.")
    assert "tone" in refused("export_prompts", tmp_path)


def test_import__again__changes_nothing(shop, tmp_path):
    run("export_prompts", tmp_path)
    before = (epoch.current(), PromptEvent.objects.count())

    assert run("import_prompts", tmp_path) == "Imported 4 prompts: 0 created, 0 changed, 4 as they were."  # fmt: skip
    assert (epoch.current(), PromptEvent.objects.count()) == before


def test_import__dry__shows_all_and_changes_nothing(shop, tmp_path):
    run("export_prompts", tmp_path)
    with tampering():
        Prompt.objects.all().delete()
    before = epoch.current()

    told = run("import_prompts", tmp_path, "--dry-run").splitlines()

    assert told[-1] == "Would import 4 prompts: 4 created, 0 changed, 0 as they were."
    assert told[:3] == ["empty: new", "gone: new", "gone: archived changed"]
    assert "talk: version 1" in told
    assert "tone: production nowhere -> 1" in told
    assert (epoch.current(), Prompt.objects.count()) == (before, 0)


def test_import__a_new_version_and_a_moved_label__are_added_with_their_audit(tmp_path):
    prompt = make_prompt("one", "two", key="p", production=1)
    rollout = services.start_rollout(prompt, 2, share=100, actor=ANN)
    run("export_prompts", tmp_path)
    (tmp_path / "p" / "v0003.yaml").write_text("template: three {{x}}\n")
    about = (tmp_path / "p" / "prompt.yaml").read_text()
    about = about.replace("production: 1", "production: 3\n  staging: 2")
    (tmp_path / "p" / "prompt.yaml").write_text(
        about.replace("folder: ''", "folder: f")
    )

    lines = run("import_prompts", tmp_path, "--reason", "By hand").splitlines()

    assert lines == [
        "p: folder changed",
        "p: version 3",
        "p: production 1 -> 3",
        "p: staging nowhere -> 2",
        "Imported 1 prompts: 0 created, 1 changed, 0 as they were.",
    ]
    assert (pointed_at(prompt), pointed_at(prompt, "staging")) == (3, 2)
    prompt.refresh_from_db()
    assert prompt.folder == "f"
    assert prompt.versions.get(number=3).author_name == operator().name
    assert set(told(prompt)[-5:]) == {
        ("edited", None, None),
        ("version", None, 3),
        ("moved", 1, 3),
        ("moved", None, 2),
        ("rollout_rolled_back", None, 2),
    }
    assert {one.reason for one in events(prompt)[-5:]} == {"By hand"}
    rollout.refresh_from_db()
    assert rollout.state == "rolled_back"


def test_import__other_words_under_a_known_number__is_refused(tmp_path):
    make_prompt("one", key="p")
    run("export_prompts", tmp_path)
    (tmp_path / "p" / "v0001.yaml").write_text("template: other\n")

    assert "Version 1 of 'p' differs" in refused("import_prompts", tmp_path)


def test_import__another_kind__is_refused(tmp_path):
    make_prompt(key="p")
    run("export_prompts", tmp_path)
    path = tmp_path / "p" / "prompt.yaml"
    path.write_text(path.read_text().replace("kind: text", "kind: chat"))

    assert "of the kind 'text'" in refused("import_prompts", tmp_path)


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ("key: P", "'P': key:"),
        ("key: p\nkind: poem", "'p': kind:"),
        ("key: p\nfolder: /x", "'p': folder:"),
        ("key: p\nlabels: {latest: 1}", "'latest' is always the newest version"),
        ("key: p\nlabels: {Prod: 1}", "small letters"),
    ],
)
def test_import__fields_that_no_prompt_can_have__are_refused(tmp_path, about, why):
    (tmp_path / "prompt.yaml").write_text(about)
    (tmp_path / "v1.yaml").write_text("template: x")

    assert why in refused("import_prompts", tmp_path)
    assert not Prompt.objects.exists()


def test_import__what_can_not_be_put_together__is_refused_whole(shop, tmp_path):
    run("export_prompts", tmp_path)
    with tampering():
        Prompt.objects.all().delete()
    shutil.rmtree(tmp_path / "tone")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "prompt.yaml").write_text("key: new\nlabels: {production: 1}")
    (tmp_path / "new" / "v1.yaml").write_text("template: '{{> tone}}'")

    assert "'new' can't be put together" in refused("import_prompts", tmp_path)
    assert not Prompt.objects.exists()


def test_import__an_owner_without_an_account__leaves_it(tmp_path):
    (tmp_path / "prompt.yaml").write_text("key: p\nowner: nobody")

    run("import_prompts", tmp_path)

    assert Prompt.objects.get().owner is None
    assert run("import_prompts", tmp_path).endswith("0 changed, 1 as they were.")


def test_import__an_empty_folder__is_refused(tmp_path):
    assert "no prompt.yaml" in refused("import_prompts", tmp_path)


# -- rollback_prompt ------------------------------------------------------------------


def test_rollback__from_a_shell__moves_production_and_says_who():
    prompt = make_prompt("1", "2", "3", key="p", production=1)
    move(prompt, 2)
    ProtectedLabel.objects.create(name="production")

    told = run("rollback_prompt", "p", "--reason", "Bad")

    assert told == "p: production is now version 1."
    event = events(prompt)[-1]
    assert event.actor_name.endswith(" on the command line")
    assert (event.action, event.reason) == ("rolled_back", "Bad")
    assert run("rollback_prompt", "p", "--to", "3", "--reason", "x").endswith(
        "version 3."
    )


def test_rollback__what_can_not_be__is_refused():
    make_prompt("1", key="p", production=1)

    assert refused("rollback_prompt", "q", "--reason", "x") == "There is no prompt 'q'."
    assert "no earlier version" in refused("rollback_prompt", "p", "--reason", "x")
    assert "no version 9" in refused("rollback_prompt", "p", "--to", 9, "--reason", "x")
    assert "Give a reason" in refused("rollback_prompt", "p", "--reason", " ")
    assert "reason" in refused("rollback_prompt", "p")


def test_operator__without_an_account__is_somebody(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 987_654)

    assert operator().name == "somebody on the command line"
