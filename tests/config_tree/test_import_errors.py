"""An import that cannot be changes nothing, and says where the fault is."""

from pathlib import Path

import pytest
import yaml
from django.contrib.admin.models import LogEntry

from billing.models import Customer, Team, Tier
from tests.config_tree.conftest import files_of, refused, run, wipe
from tests.fixtures_billing import make_customer, make_team, make_tier
from valuecanvas.core.db import epoch

pytestmark = pytest.mark.django_db
TIER = {"key": "a", "name": "A", "daily_requests": 1}
ARMS = [{"name": "a", "weight": 5000, "control": True}, {"name": "b", "weight": 5000}]
DRAFT = {"prompt": "tone", "key": "e", "arms": ARMS}


def write(folder: Path, file: str, content: object) -> None:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("file", "content", "error"),
    [
        ("tiers.yaml", "[1", "tiers.yaml: not YAML"),
        ("tiers.yaml", {"key": "a"}, "tiers.yaml: This is not a list of rows."),
        ("tiers.yaml", ["a"], "tiers.yaml: row 1: This is a mapping of fields."),
        ("tiers.yaml", [TIER, {**TIER, "colour": 1}], "row 2: colour: There is no such field."),
        ("tiers.yaml", [TIER, TIER], "row 2: An earlier row has the same key."),
        ("tiers.yaml", [{**TIER, "daily_requests": "many"}], "row 1: daily_requests: “many” value must be an integer."),
        ("tiers.yaml", [{**TIER, "daily_requests": 1.5}], "row 1: daily_requests: Write it as 1."),
        ("tiers.yaml", [{**TIER, "daily_requests": True}], "row 1: daily_requests: Write it as 1."),
        ("tiers.yaml", [{**TIER, "name": 7}], 'row 1: name: Write it as "7".'),
        ("tiers.yaml", [{**TIER, "name": "a\0b"}], "row 1: name: It has a NUL character."),
        ("tiers.yaml", [{**TIER, "daily_requests": 10**30}], "row 1: daily_requests: Numbers are from"),
        ("tiers.yaml", [{**TIER, "hits_take_quota": "yes"}], "row 1: hits_take_quota: “yes” value must be either True or False."),
        ("tiers.yaml", [{"key": "a", "name": "A"}], "row 1, tier a: daily_requests: This field cannot be null."),
        ("tiers.yaml", [{**TIER, "key": "a b"}], "row 1, tier a b: key: Enter a valid “slug”"),
        ("tiers.yaml", [{**TIER, "max_output_tokens": 0}], "max_output_tokens: Ensure this value is greater"),
        ("tiers.yaml", [{**TIER, "upgrade_to": "b"}], "row 1, tier a: upgrade_to: There is no tier b."),
        ("budgets.yaml", [{"scope": "team", "team": "x", "period": "day", "limit_usd": 1}], "team: There is no team x."),
        ("budgets.yaml", [{"scope": "customer", "customer": "x", "period": "day", "limit_usd": 1}], "customer: This is a mapping of fields."),
        ("budgets.yaml", [{"scope": "customer", "customer": {"name": "x"}, "period": "day", "limit_usd": 1}], "row 1: customer: There is no such field."),
        ("budgets.yaml", [{"scope": "key", "period": "day", "limit_usd": 1}], "api_key: Choose whom this budget limits."),
        ("budgets.yaml", [{"scope": "global", "period": "day", "limit_usd": "much"}], "limit_usd: “much” value must be a decimal number."),
        ("budgets.yaml", [{"scope": "global", "period": "day", "limit_usd": -1}], "limit_usd: Ensure this value is greater"),
        ("prices.yaml", [{"provider": "p", "upstream_model": "m", "effective_from": "soon", "input_usd": 1, "output_usd": 1}], "effective_from: “soon” value has an invalid format."),
        ("models.yaml", [{"name": "m", "takes": "text"}], "row 1: takes: This is a list, and"),
        ("models.yaml", [{"name": "m", "takes": [1]}], 'row 1: takes: Write it as "1".'),
        ("models.yaml", [{"name": "m", "total_s": 1}], "model m: total_s: At least first token"),
        ("groups.yaml", [{"name": "g", "permissions": ["a.b"]}], "permissions: There is no permission a.b."),
        ("groups.yaml", [{"name": "g", "permissions": [None]}], "permissions: This is a list, and no item is null."),
        ("experiments.yaml", [DRAFT], "There is no prompt tone."),
        ("experiments.yaml", [{**DRAFT, "arms": 1}], "row 1: arms: This is a list."),
        ("experiments.yaml", [{**DRAFT, "arms": [1]}], "row 1: This is a mapping of fields."),
        ("experiments.yaml", [{**DRAFT, "tiers": 5}], "row 1: tiers: This is a list."),
        ("experiments.yaml", ["e"], "row 1: This is a mapping of fields."),
        ("experiments.yaml", [{**DRAFT, "arms": [{**ARMS[0], "name": None}]}], "name: This field cannot be null."),
        ("experiments.yaml", [{**DRAFT, "arms": [{**ARMS[0], "weight": "5"}]}], "weight: Write it as 5."),
        ("scheduled_changes.yaml", [{"flag": "f", "at": "2030-01-01T00:00:00Z", "kind": "kill", "created_by_name": "x"}], "flag: There is no Flag f."),
        ("periodic_tasks.yaml", [{"name": "t", "task": "x"}], "periodic task t: "),
        ("periodic_tasks.yaml", [{"name": "t", "task": "x", "crontab": {"minute": "99"}}], "crontab: "),
        ("tiers.yml", [TIER], "tiers.yml: The tree has no such file."),
        ("tier.yaml", [TIER], "tier.yaml: The tree has no such file."),
        ("flags/a/b.yaml", "x", "b.yaml: The tree has no such file."),
        ("prompts/p/v1.json", "x", "v1.json: The tree has no such file."),
        ("prompts/p/prompt.yaml", {"key": "P"}, "'P': key: "),
        ("prompts/p/v1.yaml", {"template": "x"}, "there is no prompt.yaml in it."),
        ("flags/f.yaml", {"format": 1, "flags": [{"name": "f", "killed": "yes"}]}, "f: This is true or false."),
        ("flags/f.yaml", {"format": 1, "flags": [{"name": "f", "groups": ["x"]}]}, "f: There is no group 'x'."),
        ("README.md", "text", "There is no file of configuration in it."),
        (".git/tiers.yaml", [TIER], "There is no file of configuration in it."),
    ],
)  # fmt: skip
def test_import__of_what_cannot_be__says_where_and_changes_nothing(
    tmp_path: Path, file: str, content: object, error: str
) -> None:
    write(tmp_path, "teams.yaml", [{"key": "new", "name": "New"}])
    if "no file" in error:
        (tmp_path / "teams.yaml").unlink()
    write(tmp_path, file, content)
    before = epoch.current()

    assert error in refused("import_config", tmp_path)

    assert not Team.objects.exists()
    assert not LogEntry.objects.exists()
    assert epoch.current() == before


def test_import__with_faults_in_several_files__names_them_all(tmp_path: Path) -> None:
    write(tmp_path, "teams.yaml", [{"key": 1}, {"nam": "x"}])
    write(tmp_path, "tiers.yaml", "[")
    write(tmp_path, "flags/f.yaml", "[]")

    lines = refused("import_config", tmp_path).splitlines()

    assert [
        "row 1" in lines[1],
        "row 2" in lines[2],
        "not a file of flags" in lines[-1],
    ]
    write(tmp_path, "tiers.yaml", [{**TIER, "key": "a b"}, {**TIER, "key": "c d"}])
    for file in ("teams.yaml", "flags/f.yaml"):
        (tmp_path / file).unlink()
    assert len(refused("import_config", tmp_path).splitlines()) == 2


def test_import__that_fails_in_its_last_section__leaves_nothing(tree: Path) -> None:
    tasks = tree / "periodic_tasks.yaml"
    tasks.write_text(tasks.read_text().replace("once", "once\n  priority: 999"))
    wipe()
    before = files_of_export(tree.parent / "before")

    assert "priority: " in refused("import_config", tree)

    assert files_of_export(tree.parent / "after") == before


def files_of_export(folder: Path) -> dict[str, bytes]:
    run("export_config", folder)
    return files_of(folder)


def test_import__refused_by_the_database__leaves_nothing(tmp_path: Path) -> None:
    make_customer("ann", tier=make_tier("t"))
    write(tmp_path, "tiers.yaml", [{**TIER, "key": "u"}])
    write(tmp_path, "customers.yaml", [{"user_id": "ann", "tier": "u"}])

    # The reference of a customer who is not in the tree.
    make_customer("bob", tier=Tier.objects.get(key="t"))
    error = refused("import_config", tmp_path, "--delete")

    assert error == "The tier t cannot be deleted: 1 rows refer to it, such as bob."
    assert Customer.objects.get(user_id="ann").tier_id == "t"


def test_import__of_a_folder_that_is_missing__is_refused(tmp_path: Path) -> None:
    assert "no file of configuration" in refused("import_config", tmp_path / "none")


def test_export__with_a_file_in_the_way__is_refused(tmp_path: Path) -> None:
    make_team()
    (tmp_path / "tree").write_text("a file")

    assert "tree" in refused("export_config", tmp_path / "tree")


def test_export__of_an_unknown_section__is_refused(tmp_path: Path) -> None:
    assert refused("export_config", tmp_path, "tier") == "There is no section 'tier'."
