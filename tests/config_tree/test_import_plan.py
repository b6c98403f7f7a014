"""What an import prints is what it does, and a second one does nothing."""

from pathlib import Path

import pytest
import yaml
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User

from billing.models import Customer, Tier
from flags import services as flag_services
from flags.builtin_flags import ensure_built_in
from flags.models import ChangeState, Flag, FlagEvent, ScheduledChange
from llm.models import Provider, Route
from llm.setup import seed
from prompts.experiments import service
from prompts.models import Experiment, Prompt, PromptEvent
from tests.config_tree.conftest import files_of, refused, run, wipe
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_model,
    make_provider,
    make_route,
    make_team,
    make_tier,
)
from tests.flags.rows import ADA, make_flag
from tests.prompts.experiments.rows import make_actor, make_draft
from tests.prompts.rows import make_prompt, move
from valuecanvas.core.db import epoch
from valuecanvas.core.models import Change

pytestmark = pytest.mark.django_db


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def lines(*words: object) -> list[str]:
    return run("import_config", *words).splitlines()


def test_import__again__changes_nothing(tree: Path) -> None:
    wipe()
    run("import_config", tree)
    models = (Change, LogEntry, FlagEvent, PromptEvent)
    before = (epoch.current(), *(model.objects.count() for model in models))

    [result] = lines(tree, "--exit-code")

    assert result.startswith("Imported ")
    assert " 0 created, 0 changed, " in result
    assert (epoch.current(), *(model.objects.count() for model in models)) == before


def test_import__of_changed_rows__prints_and_audits_each_and_bumps_once(
    tmp_path: Path,
) -> None:
    tier = make_tier("pro", daily_requests=500)
    make_customer("ann", tier=tier, team=make_team("acme"), suspended=True)
    make_budget(limit="1")
    run("export_config", tmp_path, "tiers", "customers", "budgets")
    edit(tmp_path / "tiers.yaml", "daily_requests: 500", "daily_requests: 600")
    edit(
        tmp_path / "tiers.yaml",
        "- key",
        "- {key: new, name: N, daily_requests: 1}\n- key",
    )
    edit(tmp_path / "customers.yaml", "suspended: true", "suspended: false")
    edit(tmp_path / "budgets.yaml", "limit_usd: '1'", "limit_usd: 2.50\n  note: more")
    before = epoch.current()

    told = lines(tmp_path, "--reason", "Asked for.")

    assert told == [
        "+ tier new",
        "~ tier pro: daily_requests 500 -> 600",
        "~ customer ann acme: suspended true -> false",
        '~ budget global day: limit_usd "1" -> "2.5", note "" -> "more"',
        "Imported 4 rows: 1 created, 3 changed, 0 as they were.",
    ]
    assert epoch.current() == before + 1
    _, changes = epoch.changes_since(before)
    assert {one.kind for one in changes} == {"tier", "customer", "budget"}
    tier.refresh_from_db()
    assert tier.daily_requests == 600
    flags = [entry.action_flag for entry in LogEntry.objects.order_by("id")]
    assert flags == [ADDITION, CHANGE, CHANGE, CHANGE]
    entry = LogEntry.objects.get(object_id="pro")
    assert entry.change_message.endswith(" on the command line: Asked for. daily_requests 500 -> 600")  # fmt: skip
    assert not entry.user.is_active
    assert not entry.user.has_usable_password()


def test_import__dry__prints_the_same_and_changes_nothing(tree: Path) -> None:
    wipe()
    before = epoch.current()

    dry = lines(tree, "--dry-run")

    assert (epoch.current(), Tier.objects.count(), Flag.objects.count()) == (
        before,
        0,
        0,
    )
    assert not User.objects.filter(username="command-line").exists()
    assert dry[-1].startswith("Would import ")
    assert lines(tree)[:-1] == dry[:-1]


def test_import__with_exit_code__says_by_it_whether_something_differs(
    tree: Path, capsys: pytest.CaptureFixture
) -> None:
    assert len(lines(tree, "--dry-run", "--exit-code")) == 1
    make_team("only-here")

    with pytest.raises(SystemExit) as caught:
        run("import_config", tree, "--dry-run", "--exit-code")

    assert caught.value.code == 2


def test_import__of_a_tree_that_lacks_rows__names_them_and_deletes_them_if_told(
    tree: Path,
) -> None:
    make_route(make_model("extra"), make_provider("extra"))
    make_flag("needed")
    make_flag("needing", prerequisites=[{"flag": "needed"}])
    make_customer("extra", tier=make_tier("extra"))
    move(Prompt.objects.get(key="tone"), 2, "staging")
    make_prompt(key="extra")
    Flag.objects.filter(name="gateway.cache").update(note="the gateway's own")
    for file in ("flags/gateway.cache.yaml", "prompts/gone/prompt.yaml"):
        (tree / file).unlink()
    edit(tree / "periodic_tasks.yaml", "- name: sun", "- name: sun2")
    edit(tree / "periodic_tasks.yaml", "- name: 'Billing: check the ledger'", "- name: other")  # fmt: skip
    stay = [
        "= periodic task Billing: check the ledger: not in the tree, but the gateway needs it",
        "= customer extra: not in the tree, but the ledger names it",
        "= prompt extra: not in the tree; archive or keep it",
        "= prompt gone: not in the tree; archive or keep it",
        "= prompt tone: label staging is not in the tree",
    ]

    told = lines(tree, "--dry-run")

    more = "not in the tree; --delete deletes it"
    assert set(stay) < set(told)
    assert f"= route extra extra extra: {more}" in told
    assert f"= flag needing: {more}" in told
    with pytest.raises(AssertionError):
        assert "= flag gateway.cache" in "".join(told)
    assert refused("import_config", tree, "--delete").startswith(
        "The tier extra cannot"
    )
    Customer.objects.get(user_id="extra").delete()

    told = lines(tree, "--delete", "--reason", "Gone.")

    assert [line for line in told if line[0] == "-"] == [
        "- periodic task sun",
        "- route extra extra extra",
        "- model extra",
        "- provider extra",
        "- tier extra",
        "- flag needing",
        "- flag needed",
    ]
    assert told[-1].endswith(" 7 deleted.")
    assert not Route.objects.filter(model="extra").exists()
    assert Prompt.objects.filter(key="extra").exists()
    assert LogEntry.objects.filter(action_flag=DELETION).count() == 5
    assert FlagEvent.objects.filter(action="deleted", reason="Gone.").count() == 2
    assert [line for line in lines(tree, "--delete") if line[0] in "+~-"] == []


def test_import__of_some_files__leaves_other_sections_alone(tmp_path: Path) -> None:
    make_tier("t")
    make_flag("f")
    make_prompt(key="p")
    make_team("x")
    run("export_config", tmp_path, "teams")

    assert lines(tmp_path, "--delete", "--exit-code") == [
        "Imported 1 rows: 0 created, 0 changed, 1 as they were."
    ]
    assert (Tier.objects.count(), Flag.objects.count()) == (1, 1)


def test_export__again__deletes_files_of_prompts_and_flags_that_are_gone(
    tree: Path,
) -> None:
    for name in ("flags/x.yaml", "prompts/x/prompt.yaml", "prompts/tone/v0003.yaml"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("x")
    (tree / "flags" / "README.md").write_text("stays")

    dry = run("export_config", tree, "--dry-run").splitlines()[:-2]
    told = run("export_config", tree).splitlines()[:-2]

    assert dry == told
    assert told == [
        "prompts/tone/v0003.yaml deleted",
        "prompts/x/prompt.yaml deleted",
        "flags/x.yaml deleted",
    ]
    assert "flags/README.md" in files_of(tree)
    assert "flags/x.yaml" not in files_of(tree)


def test_export__customers__are_those_of_whom_something_is_set(tmp_path: Path) -> None:
    free = make_tier("free")
    make_customer("plain", tier=free, team=make_team("t"))
    for name, fields in {
        "limited": {"tokens_per_minute": 1},
        "suspended": {"suspended": True},
        "budget": {},
    }.items():
        make_customer(name, tier=free, **fields)
    make_budget(Customer.objects.get(user_id="budget"))
    make_customer("pro", tier=make_tier("pro"))

    run("export_config", tmp_path, "customers")

    rows = yaml.safe_load((tmp_path / "customers.yaml").read_text())
    assert [row["user_id"] for row in rows] == ["budget", "limited", "pro", "suspended"]


def test_import__of_a_customer_who_is_known_already__sets_what_the_tree_says(
    tmp_path: Path,
) -> None:
    customer = make_customer("ann", tier=make_tier("free"))
    key, _ = make_api_key(customer)
    rows = [{"user_id": "ann", "tier": "free", "requests_per_minute": 5}]
    (tmp_path / "customers.yaml").write_text(yaml.safe_dump(rows))

    told = lines(tmp_path)

    assert told[0] == "~ customer ann: requests_per_minute null -> 5"
    customer.refresh_from_db()
    assert customer.requests_per_minute == 5
    assert key.customer_id == customer.pk


def test_import__of_a_provider_at_another_host__drops_its_stored_key(
    tmp_path: Path,
) -> None:
    make_provider("p", api_key="sk-1", base_url="https://one.example.com/v1")
    run("export_config", tmp_path, "providers")
    edit(tmp_path / "providers.yaml", "example.com/v1", "example.com/v2")
    assert lines(tmp_path)[0].endswith('/v2"')
    assert Provider.objects.get().open_key() == "sk-1"
    edit(tmp_path / "providers.yaml", "one.example.com", "two.example.com")

    told = lines(tmp_path)

    assert told[0] == (
        '~ provider p: base_url "https://one.example.com/v2" -> '
        '"https://two.example.com/v2"; its stored key is deleted: enter it again'
    )
    assert not Provider.objects.get().has_key


def test_import__of_an_experiment__edits_drafts_and_leaves_others(
    tmp_path: Path,
) -> None:
    running, draft = make_draft(key="running"), make_draft(key="draft")
    service.start(running, actor=make_actor())
    run("export_config", tmp_path, "experiments")
    text = (tmp_path / "experiments.yaml").read_text()
    (tmp_path / "experiments.yaml").write_text(text.replace("weight: 5000", "weight: 2500").replace("name: b\n    weight: 2500", "name: b\n    weight: 7500"))  # fmt: skip

    told = lines(tmp_path)

    assert told[0].startswith(f"~ experiment {draft.prompt.key} draft: arms [")
    assert told[1].startswith(
        f"= experiment {running.prompt.key} running: it is running and stays so: arms ["
    )
    weights = Experiment.objects.values_list("key", "arms__name", "arms__weight")
    assert set(weights) == {
        ("draft", "a", 2500), ("draft", "b", 7500),
        ("running", "a", 5000), ("running", "b", 5000),
    }  # fmt: skip
    (tmp_path / "experiments.yaml").write_text("[]")
    assert lines(tmp_path, "--delete")[:2] == [
        f"- experiment {draft.prompt.key} draft",
        f"= experiment {running.prompt.key} running: not in the tree, but it is running",
    ]


def test_import__of_drafts_that_cannot_start__says_why(tmp_path: Path) -> None:
    make_draft(key="draft")
    run("export_config", tmp_path, "experiments")
    edit(tmp_path / "experiments.yaml", "weight: 5000", "weight: 5001")
    assert "row 1, experiment" in refused("import_config", tmp_path)
    edit(tmp_path / "experiments.yaml", "weight: 5001", "weight: 5000\n    model: ''")
    edit(tmp_path / "experiments.yaml", "version: 2", "version: 9")
    assert "has no version 9" in refused("import_config", tmp_path)


def test_import__of_killed_and_archived_flags__revives_none(tree: Path) -> None:
    upper = Flag.objects.get(name="upper")
    flag_services.archive(upper, actor=ADA)
    flag_services.kill(Flag.objects.get(name="base"), actor=ADA)

    told = lines(tree)

    assert told[:-1] == [
        "= flag base: it stays killed",
        "= flag upper: it stays archived",
    ]
    assert Flag.objects.get(name="base").killed
    flag_services.revive(Flag.objects.get(name="dead"), actor=ADA)
    assert lines(tree)[0] == "~ flag dead: killed no -> yes"


def test_import__of_a_flag_whose_buckets_differ__says_so(tree: Path) -> None:
    flag = Flag.objects.get(name="colours")
    for blue in (0, 8000):
        weights = {"blue": blue, "red": 10_000 - blue}
        flag_services.set_weights(flag, weights, actor=ADA)

    assert lines(tree)[0] == "~ flag colours: allocation changed"
    assert len(lines(tree)) == 1


def test_import__of_a_scheduled_change__schedules_it_once(tree: Path) -> None:
    pending = ScheduledChange.objects.filter(state=ChangeState.PENDING)
    first, second = pending.order_by("at")
    flag_services.cancel(first, actor=ADA)
    second.delete()

    told = lines(tree)

    assert told[0].startswith("+ scheduled change ramp ")
    assert told[1].startswith("= scheduled change ramp ")
    assert told[1].endswith(": it is cancelled")
    assert pending.get().ramp == first.ramp
    path = tree / "scheduled_changes.yaml"
    edit(path, "percent: '50.00'", "percent: 500")
    assert "scheduled change ramp" in refused("import_config", tree)
    text = path.read_text().replace("percent: 500", "percents: 5")
    path.write_text(text)
    assert "payload: It has to hold percent." in refused("import_config", tree)
    path.write_text(text.replace("payload:\n    percents: 5", "payload: [1]"))
    assert "payload: It has to hold percent." in refused("import_config", tree)


def test_import__of_a_scheduled_change_that_is_due__applies_at_once(
    tree: Path,
) -> None:
    path = tree / "scheduled_changes.yaml"
    rows = yaml.safe_load(path.read_text())
    rows[0]["at"] = "2026-01-01T00:00:00Z"
    path.write_text(yaml.safe_dump(rows[:1]))
    wipe()
    run("import_config", tree)

    assert flag_services.apply_due() == 1

    assert Flag.objects.get(name="ramp").percent == 50


def test_import__of_flags_of_people_without_accounts__leaves_these_out(
    tree: Path,
) -> None:
    wipe()
    User.objects.filter(username="ann").delete()
    User.objects.filter(username="owner").update(username="other")

    run("import_config", tree)

    flag = Flag.objects.get(name="upper")
    assert (flag.owner, flag.users.count()) == (None, 0)
    assert [line for line in lines(tree) if line[0] in "+~-"] == []


def test_import__of_the_gateway_s_flags__protects_them(tree: Path) -> None:
    wipe()
    run("import_config", tree)

    assert Flag.objects.filter(protected=True).count() == 3
    Flag.objects.update(protected=False)
    assert ensure_built_in() == []
    assert Flag.objects.get(name="gateway.cache").protected


def test_import__of_a_whole_tree__is_the_first_run(tree: Path) -> None:
    wipe()
    run("import_config", tree)
    names = set(Tier.objects.values_list("key", flat=True))

    seed.first_run()

    assert set(Tier.objects.values_list("key", flat=True)) == names
