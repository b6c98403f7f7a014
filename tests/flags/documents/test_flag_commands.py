"""The commands of flags: list, create, set, delete, export, import."""

import io
import json

import pytest
import yaml
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from flags import services
from flags.builtin_flags import add_samples, ensure_built_in
from flags.documents.document import state
from flags.models import Flag, FlagEvent
from tests.flags.rows import ADA, make_colours, make_flag

pytestmark = pytest.mark.django_db


def run(command, *args):
    out = io.StringIO()
    call_command(command, *map(str, args), stdout=out)
    return out.getvalue()


def test_flag__create_set_delete__as_told():
    told = run("flag", "new", "--create", "--set", "percent=12.5", "--set", "expires_on=2030-01-31", "--reason", "Trial")  # fmt: skip
    assert told == "new: new\nnew  boolean  on for 12.5 %  until 2030-01-31\n"
    event = FlagEvent.objects.get()
    assert (event.actor_name, event.reason) == ("command line", "Trial")
    told = json.loads(run("flag", "new", "--set", "tiers=[pro, team]", "--set", "enabled=off", "--json"))  # fmt: skip
    assert (told["tiers"], told["enabled"]) == (["pro", "team"], False)
    assert run("flag", "new", "--set", "killed=on").splitlines() == [
        "new: killed no -> yes",
        "new  boolean  killed  until 2030-01-31",
    ]
    assert "killed: false" in run("flag", "new", "--set", "killed=off", "-v", "2")
    assert run("flag", "new", "--delete") == "new: deleted\n"
    assert not Flag.objects.exists()


def test_flag__create_killed__killed():
    run("flag", "new", "--create", "--kind", "string", "--set", "killed=on")
    flag = Flag.objects.get()
    assert (flag.killed, flag.kind) == (True, "string")


def test_flag__name_only__shown_and_unchanged():
    flag = make_flag("a-flag", rules=[{"name": "r"}])
    assert run("flag", "a-flag") == "a-flag  boolean  on for 0 %  1 rule\n"
    assert yaml.safe_load(run("flag", "a-flag", "--show")) == state(flag)
    assert Flag.objects.get().revision == 1


def test_flag__changed__a_line_for_each_field():
    make_flag("a-flag", percent=10)
    told = run("flag", "a-flag", "--set", "percent=25", "--set", f"note={'long ' * 30}")
    assert told.splitlines() == [
        "a-flag: percentage 10 % -> 25 %",
        f"a-flag: note – -> {'long ' * 19}lon …",
        "a-flag  boolean  on for 25 %",
    ]
    again = run("flag", "a-flag", "--set", "percent=25").splitlines()
    assert again[0] == "a-flag: unchanged"


def test_flag__list__states_in_words(django_assert_max_num_queries):
    make_flag("plain", percent=25)
    make_flag("old", expires_on="2020-01-01", everyone=True)
    make_flag("shut", enabled=False)
    services.kill(make_flag("dead"), actor=ADA)
    services.archive(make_flag("past"), actor=ADA)
    with django_assert_max_num_queries(8):
        lines = run("flag", "--list").splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines] == [
        "killed",
        "on for everyone (expired)  until 2020-01-01",
        "archived",
        "on for 25 %",
        "off",
    ]
    assert run("flag", "--list", "--expired").split()[0] == "old"
    assert [row["name"] for row in json.loads(run("flag", "--json"))] == ["dead", "old", "past", "plain", "shut"]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["nothing"], "no flag 'nothing'"),
        (["nothing", "--delete"], "no flag 'nothing'"),
        (["a-flag", "--create"], "name: "),
        (["a-flag", "--set", "percent"], "not FIELD=VALUE"),
        (["a-flag", "--set", "percent=[1"], "not a value"),
        (["a-flag", "--set", "percent=200"], "percent: A percentage"),
        (["a-flag", "--set", "colour=red"], "colour: "),
        (["gateway.cache", "--delete"], "The gateway uses"),
    ],
)
def test_flag__what_cannot_be__says_why(args, text):
    make_flag("a-flag")
    ensure_built_in()
    with pytest.raises(CommandError, match=text):
        run("flag", *args)


def test_export_import__into_an_empty_database__the_same_flags(tmp_path):
    User.objects.create_user("ada")
    Group.objects.create(name="Testers")
    ensure_built_in()
    add_samples()
    rules = [{"name": "pro", "conditions": [{"attribute": "tier", "operator": "in", "value": ["pro"]}], "variant": "on", "share": 2500}]  # fmt: skip
    make_flag("z-base", percent=50)
    make_flag("a-flag", rules=rules, prerequisites=[{"flag": "z-base"}], owner="ada", users=["ada"], groups=["Testers"], expires_on="2030-01-31", note="Größe: 'x'")  # fmt: skip
    flag = make_colours("colours", blue=5000, red=5000)
    services.set_weights(flag, {"blue": 8000, "red": 2000}, actor=ADA)
    before = {one.name: state(one) for one in Flag.objects.all()}
    folder = tmp_path / "new" / "flags"
    dry = run("export_flags", folder, "--dry-run").splitlines()
    assert (len(dry), dry[-1]) == (9, "Would export 8 flags: 8 files written.")
    assert not folder.exists()
    assert run("export_flags", folder).endswith("Exported 8 flags: 8 files written.\n")
    Flag.objects.filter(name="a-flag").delete()
    Flag.objects.all().delete()
    dry = run("import_flags", folder, "--dry-run")
    assert dry.endswith("Would import 8 flags: 8 created, 0 changed, 0 as they were.\n")
    assert not Flag.objects.exists()
    told = run("import_flags", folder)
    assert told.endswith("Imported 8 flags: 8 created, 0 changed, 0 as they were.\n")
    assert "a-flag: new\n" in told
    assert {one.name: state(one) for one in Flag.objects.all()} == before
    again = run("import_flags", folder)
    assert again == "Imported 8 flags: 0 created, 0 changed, 8 as they were.\n"
    assert run("export_flags", folder) == "Exported 8 flags: 0 files written.\n"


def test_import__some_changed__says_which_and_how(tmp_path):
    make_flag("a-flag", percent=5)
    make_flag("b-flag")
    told = run("export_flags", tmp_path, "a-flag")
    assert told == "a-flag.yaml\nExported 1 flags: 1 files written.\n"
    file = tmp_path / "a-flag.yaml"
    file.write_text(file.read_text().replace("percent: 5.0", "percent: 6"))
    # A single file does as well.
    dry = run("import_flags", file, "--dry-run")
    told = run("import_flags", file, "--reason", "By hand")
    assert dry == told.replace("Imported", "Would import")
    assert told.splitlines() == [
        "a-flag: percentage 5 % -> 6 %",
        "Imported 1 flags: 0 created, 1 changed, 0 as they were.",
    ]
    event = FlagEvent.objects.first()
    assert (event.action, event.reason) == ("imported", "By hand")


def test_import__the_same_flag_in_two_files__is_refused(tmp_path):
    for name in "ab":
        text = "format: 1\nflags: [{name: same}]"
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(CommandError, match=r"b\.yaml: there are two flags 'same'"):
        run("import_flags", tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1", "not YAML"),
        ("[]", "not a file of flags"),
        ("flags: [1]", "not a file of flags"),
        ("flags: []", "Only format 1"),
        ("format: 1\nflags: [{note: x}]", "A flag without a name"),
        ("format: 1\nflags: [{name: new, percent: 300}]", "new: A percentage"),
        ("format: 1\nflags: [{name: a-flag, kind: string}]", "cannot change"),
        ("format: 1\nflags: [{name: new, prerequisites: 1}]", "new: "),
        ("format: 1\nflags: [{name: x, prerequisites: [{flag: y}]}, {name: y, prerequisites: [{flag: x}]}]", "no flag 'y'"),
        ("format: 1\nflags: [{name: new}, {name: new, colour: red}]", "there are two flags 'new'"),
        ("format: 1\nflags: [{name: new, colour: red}]", "new: "),
    ],
)  # fmt: skip
def test_import__what_cannot_be__nothing_happens(tmp_path, text, told):
    make_flag("a-flag")
    file = tmp_path / "flags.yaml"
    file.write_text(text)
    with pytest.raises(CommandError, match=told):
        run("import_flags", str(file))
    assert Flag.objects.count() == 1


def test_files__that_cannot_be_used__say_so(tmp_path):
    make_flag("a-flag")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff")
    for args in (
        ["import_flags", tmp_path / "none.yaml"],
        ["import_flags", tmp_path],
        ["import_flags", binary],
        ["export_flags", binary],
        ["export_flags", tmp_path, "nothing"],
    ):
        with pytest.raises(CommandError):
            run(*args)
