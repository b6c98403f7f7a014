"""The YAML of prompts: it keeps every character, and says what is wrong with it."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from prompts.services import words
from prompts.transfer.prompt_files import (
    _PROMPT_FIELDS,
    _VERSION_FIELDS,
    PromptFile,
    VersionFile,
    read_prompt_files,
    texts,
)
from tests.prompts.payloads import PAYLOADS

AT = datetime(2026, 5, 1, 12, 30, 1, 123456, tzinfo=UTC)


def version(number: int, template: str, **said) -> VersionFile:
    checked = words.check_words(
        "text",
        template=template,
        messages=[],
        declared=said.pop("declared", []),
        model=said.pop("model", ""),
        parameters=said.pop("parameters", {}),
    )
    return VersionFile(number, checked, said.get("note", ""), [], "ann", AT)


def written(folder, prompt: PromptFile) -> None:
    home = folder / prompt.key
    home.mkdir(parents=True)
    for name, text in texts(prompt):
        (home / name).write_bytes(text.encode())


def there_and_back(folder, prompt: PromptFile) -> PromptFile:
    written(folder, prompt)
    (found,) = read_prompt_files(folder)
    return found


def test_files__of_a_prompt__are_one_for_it_and_one_for_each_version():
    declared = [{"name": "x", "schema": {"type": "string", "maxLength": 9}}]
    prompt = PromptFile(
        "canvas.generate",
        folder="canvas",
        tags=["a"],
        labels={"staging": 2, "production": 1},
        versions={
            1: version(1, "Hi {{x}}"),
            2: version(
                2,
                "Hi {{x}}!\n  Bye\n",
                declared=declared,
                parameters={"b": 1, "a": [0.5]},
            ),
        },
    )

    found = dict(texts(prompt))

    assert list(found) == ["prompt.yaml", "v0001.yaml", "v0002.yaml"]
    assert found["prompt.yaml"] == (
        "key: canvas.generate\nkind: text\nfolder: canvas\ndescription: ''\nowner: ''\n"
        "tags:\n- a\narchived: false\ncache_policy: auto\ncache_scope: ''\n"
        "labels:\n  production: 1\n  staging: 2\n"
    )
    assert found["v0002.yaml"] == (
        "template: |\n  Hi {{x}}!\n    Bye\n"
        "variables:\n- name: x\n  schema:\n    maxLength: 9\n    type: string\n"
        "parameters:\n  a:\n  - 0.5\n  b: 1\n"
        "author: ann\ncreated_at: '2026-05-01T12:30:01.123456+00:00'\n"
    )


def test_files__of_hostile_texts__come_back_as_they_were(tmp_path):
    versions = {
        number: version(number, f"{payload}\n{payload} .")
        for number, payload in enumerate(PAYLOADS, start=1)
    }
    prompt = PromptFile("p", versions=versions)

    assert there_and_back(tmp_path, prompt) == prompt


def test_files__of_random_texts__come_back_as_they_were(tmp_path):
    rng = random.Random(20261125)
    odd = [
        " ", "  ", "\n", "\n\n", "\r", "\r\n", "\t", "\x85", "\u2028", "\u2029", "\ufeff",
        "\x07", "\x1b", "\x7f", "é", "😀", "#", ": ", "- ", "|", ">", "'", '"', "\\", "%",
        "---", "...", "yes", "null", "1e3", "{{x}}", "{", "}", "[", "&a", "*a", "!!", "\xa0",
    ]  # fmt: skip
    versions = {}
    for number in range(1, 800):
        template = "".join(rng.choices(odd, k=rng.randrange(1, 12))) + "."
        note = "".join(rng.choices(odd, k=rng.randrange(5)))
        versions[number] = version(number, template, note=note, model=note[:9])
    prompt = PromptFile("p", versions=versions)

    assert there_and_back(tmp_path, prompt) == prompt


def test_read__written_by_hand__needs_only_the_words(tmp_path):
    home = tmp_path / "any" / "where"
    home.mkdir(parents=True)
    (home / "prompt.yaml").write_text("key: p\n")
    (home / "v1.yaml").write_text(
        "template: Hi {{x}}\ncreated_at: 2026-05-01 12:30:01.123456\n"
    )
    (home / "notes.txt").write_text("not ours")

    (found,) = read_prompt_files(tmp_path)

    assert (found.key, found.kind, list(found.versions)) == ("p", "text", [1])
    assert found.versions[1].words.variables == [{"name": "x"}]
    assert (found.versions[1].author, found.versions[1].created_at) == ("", AT)


def test_read__times__may_be_left_out_or_name_their_zone(tmp_path):
    (tmp_path / "prompt.yaml").write_text("key: p\n")
    (tmp_path / "v1.yaml").write_text("template: x\n")
    (tmp_path / "v2.yaml").write_text("template: y\ncreated_at: '2026-05-01T12:30:01.123456Z'\n")  # fmt: skip

    (found,) = read_prompt_files(tmp_path)

    assert [found.versions[n].created_at for n in (1, 2)] == [None, AT]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("prompt.yaml", "key: [", "not YAML"),
        ("prompt.yaml", "- a", "no fields"),
        ("prompt.yaml", "", "no fields"),
        ("prompt.yaml", "kind: text", "'key' is missing"),
        ("prompt.yaml", "key: 3", "'key' is not of"),
        ("prompt.yaml", "key: p\nfoo: 1", "unknown field 'foo'"),
        ("prompt.yaml", "key: p\narchived: 'no'", "'archived' is"),
        ("prompt.yaml", "key: p\nlabels: {production: 2}", "no version 2"),
        ("prompt.yaml", "key: p\nlabels: {3: 1}", "label '3'"),
        ("prompt.yaml", "key: p\nlabels: {production: [1]}", "label 'production'"),
        ("prompt.yaml", "key: p\nlabels: {production: true}", "label 'production'"),
        ("prompt.yaml", "key: !!python/object:os.system x", "not YAML"),
        ("v0001.yaml", "template: yes", "template: Write some text"),
        ("v0001.yaml", "template: x\nvariables: [1]", "variables: A variable is"),
        ("v0001.yaml", "template: x\nnote: 3", "'note' is"),
        ("v0001.yaml", "template: x\ntags: [3]", "of at most 40"),
        ("v0001.yaml", "template: x\ncreated_at: soon", "not a time"),
        ("v0001.yaml", "template: x\ncreated_at: '2026-99-01T00:00:00'", "not a time"),
        ("v0001.yaml", "template: x\nauther: ann", "unknown field 'auther'"),
        ("v0000.yaml", "template: x", "or it is 0"),
        ("v1.yaml", "template: x", "another file has this number"),
    ],
)
def test_read__wrong_files__are_named_with_the_reason(tmp_path, name, text, why):
    (tmp_path / "prompt.yaml").write_text("key: p\n")
    (tmp_path / "v0001.yaml").write_text("template: x\n")
    (tmp_path / name).write_text(text)

    with pytest.raises(ValidationError) as caught:
        read_prompt_files(tmp_path)

    assert str(tmp_path) in str(caught.value)
    assert why in str(caught.value)


ODD_VALUES = (
    "null", "1", "-1", "1.5", ".inf", ".nan", "true", "x", "''", "[]", "[[1]]", "[{}]",
    "[null]", "{}", "{a: [1]}", "{1: 2}", "{a: {b: null}}", "2026-01-01", "'2026-01-01'",
    "!!binary aGk=", f"1{'0' * 400}", "0x10", "'\\0'",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted({*_PROMPT_FIELDS, *_VERSION_FIELDS}))
def test_read__a_value_of_any_kind_in_each_field__is_taken_or_refused(
    tmp_path: Path, name: str
) -> None:
    """Of a file by hand no value raises anything but a refusal that names the file."""
    for value in ODD_VALUES:
        about, version = {"key": "p"}, {"template": "x"}
        if name in _PROMPT_FIELDS:
            about[name] = value
        if name in _VERSION_FIELDS:
            version[name] = value
        for file, row in (("prompt.yaml", about), ("v1.yaml", version)):
            lines = [f"{field}: {text}" for field, text in row.items()]
            (tmp_path / file).write_text("\n".join(lines))
        try:
            read_prompt_files(tmp_path)
        except ValidationError as error:
            assert str(tmp_path) in str(error), value


def test_read__bytes_that_are_no_text__are_refused(tmp_path):
    (tmp_path / "prompt.yaml").write_bytes(b"key: \xff\xfe\xfa")

    with pytest.raises(ValidationError, match="not YAML"):
        read_prompt_files(tmp_path)


def test_read__nothing_or_twice_the_same__is_refused(tmp_path):
    with pytest.raises(ValidationError, match=r"no prompt\.yaml"):
        read_prompt_files(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "prompt.yaml").write_text("key: p\n")
    with pytest.raises(ValidationError, match="there are two prompts 'p'"):
        read_prompt_files(tmp_path)
