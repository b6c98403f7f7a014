"""YAML that says little and means a lot; every place that reads YAML is held to it."""

import re
from pathlib import Path

import pytest
import yaml
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from flags.documents import yaml_files
from valuecanvas.core.transfer import yaml_io

ROOT = Path(__file__).resolve().parents[3]
LAUGHS = "\n".join(
    ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
)
MERGED = "\n".join(
    ["b0: &b0 {x: 1, y: 2}"]
    + [f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}'] * 9)}]}}" for n in range(1, 10)]
)
BOMBS = {
    "aliases": LAUGHS,
    "merged": MERGED,
    "itself": "a: &a [1, *a]",
    "itself by a mapping": "a: &a {b: *a}",
    "deep lists": "a: " + "[" * 400 + "]" * 400,
    "deep mappings": "\n".join(" " * n + "a:" for n in range(500)),
    "number of many digits": "a: " + "1" * 5000,
    "no date": "a: 2024-13-45",
    "unknown alias": "a: *b",
    "object of Python": "a: !!python/object/apply:os.getcwd []",
    "key that is a list": "? [1, 2]\n: 3",
    "no text": "a: \x00",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_load__a_bomb__is_refused_as_yaml(bomb: str) -> None:
    with pytest.raises(yaml.YAMLError):
        yaml_io.load(BOMBS[bomb])


def test_load__more_values_than_may_be__is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yaml_io, "MOST_NODES", 100)
    assert len(yaml_io.load("[" + "1," * 99 + "]")) == 99
    with pytest.raises(yaml.YAMLError, match="more than 100 values"):
        yaml_io.load("[" + "1," * 100 + "]")


def test_read_file__of_many_values__takes_as_many_as_it_has_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(yaml_io, "MOST_NODES", 100)
    file = tmp_path / "a.yaml"
    file.write_text("[" + "1," * 200 + "]")
    assert len(yaml_io.read_file(file)) == 200
    file.write_text("a: &a [" + "1," * 30 + "]\nb: [" + "*a," * 30 + "]")
    with pytest.raises(ValidationError, match="more than 1"):
        yaml_io.read_file(file)


def test_load__anchors_of_an_ordinary_size__are_taken() -> None:
    text = "a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]"
    assert yaml_io.load(text) == {
        "a": {"x": 1},
        "b": {"x": 1, "y": 2},
        "c": [{"x": 1}, {"x": 1}],
    }


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.django_db
def test_readers__given_a_bomb__refuse_in_words(bomb: str, tmp_path: Path) -> None:
    text = BOMBS[bomb]
    file = tmp_path / "prompt.yaml"
    file.write_text(text)
    with pytest.raises(CommandError, match="not YAML"):
        call_command("import_prompts", str(tmp_path))
    with pytest.raises(ValidationError, match="not YAML"):
        yaml_files.read_flag_files(file)
    (tmp_path / "tiers.yaml").write_text(text)
    with pytest.raises(CommandError, match="not YAML"):
        call_command("import_config", str(tmp_path))
    with pytest.raises(CommandError, match="is not a value"):
        call_command("flag", "a-flag", "--create", "--set", f"note={text}")


def test_code__that_reads_yaml__does_it_by_the_bounded_loader() -> None:
    folders = ("valuecanvas", "llm", "billing", "flags", "prompts")
    reading = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"yaml\.(safe_|full_|unsafe_)?load(_all)?\(", path.read_text())
    ]
    assert reading == ["valuecanvas/core/transfer/yaml_io.py"]
