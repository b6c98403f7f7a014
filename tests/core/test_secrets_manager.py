"""Settings from AWS Secrets Manager: after the environment and files, before defaults."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.settings_process import SAFE, read_settings, start
from tests.secrets_manager import SecretsManager, serve_secrets

NAME = "valuecanvas/settings"


@pytest.fixture(scope="module")
def secrets() -> Iterator[SecretsManager]:
    with serve_secrets() as found:
        yield found


def test_settings__of_a_secret__are_taken_unless_they_are_set(
    secrets: SecretsManager, tmp_path: Path
) -> None:
    names = ("SECRET_KEY", "KEY_PEPPER", "BATCH_MAX", "SENTRY_DSN")
    members = {name: SAFE[name] for name in names[:2]}
    more = {"BATCH_MAX": 77, "SENTRY_DSN": None, "X": "y"}
    secrets.put(NAME, json.dumps({**members, **more}))
    given = {**SAFE, "SECRET_KEY": "", "KEY_PEPPER": SAFE["KEY_PEPPER"][::-1]}
    access = {**secrets.environment, "AWS_SECRETS_NAME": NAME}
    assert read_settings(tmp_path, *names, **{**given, **access}) == {
        "SECRET_KEY": SAFE["SECRET_KEY"],
        "KEY_PEPPER": SAFE["KEY_PEPPER"][::-1],
        "BATCH_MAX": 77,
        "SENTRY_DSN": "",
    }


def test_settings__of_a_secret_that_a_file_names__are_taken(
    secrets: SecretsManager, tmp_path: Path
) -> None:
    secrets.put(NAME, json.dumps({"BATCH_MAX": 78}))
    path = tmp_path / "name"
    path.write_text(NAME)
    access = {**secrets.environment, "AWS_SECRETS_NAME_FILE": str(path)}
    assert read_settings(tmp_path, "BATCH_MAX", **{**SAFE, **access}) == {
        "BATCH_MAX": 78
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "'{}' cannot be read (ResourceNotFoundException)"),
        ("canary-of-a-secret", "'{}' cannot be read (JSONDecodeError)"),
        ('["canary-of-a-secret"]', "'{}' is no JSON object"),
        ('{"SECRET_KEY": "canary"}', "SECRET_KEY has fewer than 32 characters"),
    ],
)
def test_settings__of_an_unusable_secret__refuse_the_start_without_showing_it(
    secrets: SecretsManager, tmp_path: Path, text: str | None, complaint: str
) -> None:
    name = f"broken/{abs(len(text or ''))}"
    if text is not None:
        secrets.put(name, text)
    access = {**secrets.environment, "AWS_SECRETS_NAME": name, "SECRET_KEY": ""}
    process = start(tmp_path, "DEBUG", **{**SAFE, **access})
    assert process.returncode != 0
    assert complaint.format(name) in process.stderr
    assert "canary" not in process.stderr
