"""The pinned requirements are in step with what is asked for."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ASKED = sorted(path.name for path in ROOT.glob("requirements*.in"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(text: str) -> set[str]:
    found = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", text, re.MULTILINE)
    return {normal(name) for name in found}


@pytest.mark.parametrize("asked", ASKED)
def test_lock__each_name_asked_for__is_pinned_with_hashes(asked: str) -> None:
    lock = (ROOT / asked).with_suffix(".txt").read_text()
    pins = re.findall(r"^([^\s#=]+)==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert names((ROOT / asked).read_text()) <= {normal(pin) for pin in pins} | {
        normal(pin.partition("[")[0]) for pin in pins
    }


@pytest.mark.parametrize("asked", ASKED)
def test_lock__every_pin__has_a_hash_and_names_no_index(asked: str) -> None:
    lock = (ROOT / asked).with_suffix(".txt").read_text()
    pinned = len(re.findall(r"^\S+==", lock, re.MULTILINE))
    assert pinned == len(re.findall(r"^\S+==\S+ \\\n    --hash=", lock, re.MULTILINE))
    assert "://" not in lock
