"""What each hook of .pre-commit-config.yaml must find: one offence a hook."""

from dataclasses import dataclass

CONFIG = ".pre-commit-config.yaml"
# Put together here, so that this file is no offence itself.
AWS_KEY = "AKIA" + "Z7QWERTYUIOPASDF"
API_KEY = "vc-" + "AbCdEf123456-" + "a" * 43
NOWHERE = "{id: nowhere, name: n, language: system, entry: 'true', files: '^nowhere$', exclude: '^nowhere$'}"


@dataclass(frozen=True)
class Offence:
    """A file that one hook refuses, and what it says then."""

    hook: str
    path: str
    content: str | bytes
    says: str
    # What `content` stands for in a file of ours; empty where the file is new.
    instead: str = ""
    mode: int = 0o644
    # The new file is a link to `content`.
    link: bool = False
    # The file was a link to `content` in the commit before.
    was_link: bool = False


OFFENCES = [
    Offence("check-hooks-apply", CONFIG, f"  - {NOWHERE}\n  # Python.\n", "nowhere does not apply", instead="  # Python.\n"),
    Offence("check-useless-excludes", CONFIG, "# The same.\n- repo: local\n", "for nowhere does not match any", instead="- repo: local\n"),
    Offence("large-files", "docs/large.txt", "a line\n" * 80_000, "docs/large.txt (547 KB) exceeds 500 KB"),
    Offence("case-conflicts", "readme.MD", "# Again\n", "readme.MD"),
    Offence("symlinks", "docs/nowhere", "nothing.md", "docs/nowhere: Broken symlink", link=True),
    Offence("lost-links", "docs/lost", "../README.md", "docs/lost", was_link=True),
    Offence("executables", "docs/program", "echo done\n", "docs/program: marked executable", mode=0o755),
    Offence("scripts", "docs/script", "#!/bin/sh\n", "docs/script: has a shebang"),
    Offence("merge-markers", "docs/merged.txt", "<<<<<<< " + "ours\n", "docs/merged.txt:1: Merge conflict"),
    Offence("trailing-whitespace", "docs/blanks.txt", "one \n", "Fixing docs/blanks.txt"),
    Offence("end-of-file", "docs/end.txt", "one", "Fixing docs/end.txt"),
    Offence("line-endings", "docs/dos.txt", b"one\r\ntwo\n", "docs/dos.txt: fixed mixed line endings"),
    Offence("byte-order-marks", "docs/mark.txt", b"\xef\xbb\xbfone\n", "docs/mark.txt: removed byte-order marker"),
    Offence("secrets", "tests/planted.py", f'KEY = "{AWS_KEY}"\n', "tests/planted.py:1"),
    Offence("own-keys", "docs/planted.txt", f"{API_KEY}\n", "docs/planted.txt:1"),
    Offence("spelling", "docs/spelling.txt", "reci" + "eve\n", "docs/spelling.txt:1"),
    Offence("ruff-check", "llm/unused.py", "import b\nimport a\n\na, b, c\n", "llm/unused.py:4:7"),
    Offence("ruff-format", "llm/unformatted.py", "x  =  1\n", "1 file reformatted"),
    Offence("django-upgrade", "llm/old.py", "from django.utils.timezone import utc\nutc\n", "Rewriting llm/old.py"),
    Offence("debug-statements", "llm/debug.py", "breakpoint()\n", "llm/debug.py:1:0: breakpoint called"),
    Offence("bandit", "llm/insecure.py", "import pickle\n\npickle.loads(b'')\n", "llm/insecure.py:3:0"),
    Offence("templates", "templates/orphan.html", "<p>{{ name }}</p></div>\n", "H025 1:17"),
    Offence("yaml", "deploy/unread.yaml", "a: [1\n", 'in "deploy/unread.yaml", line 2'),
    Offence("yamllint", "deploy/doubled.yaml", "a: 1\na: 2\n", 'duplication of key "a"'),
    Offence("compose", "deploy/other/compose.yaml", "services: {web: {imag: x}}\n", "'imag' was unexpected"),
    Offence("toml", "docs/bad.toml", "a = \n", "docs/bad.toml: Invalid value"),
    Offence("json", "docs/bad.json", "{,}\n", "docs/bad.json: Failed to json decode"),
    Offence("shell", "deploy/unquoted.sh", "#!/bin/sh\nrm $1\n", "In deploy/unquoted.sh line 2", mode=0o755),
    Offence("dockerfile", "deploy/other/Dockerfile", "FROM debian\n", "deploy/other/Dockerfile:1 DL3006"),
    Offence("npm-hosts", "tests/x/package-lock.json", '{"resolved": "https://npm.example/a.tgz"}\n', "tests/x/package-lock.json:1"),
    Offence("architecture", "billing/sideways.py", "from flags.models import Flag\n", "sideways.py:1 imports flags.models.Flag"),
    Offence("docs", "docs/OFFENCE.md", "[gone](GONE.md)\n", "OFFENCE.md: GONE.md"),
    Offence("locks", "requirements.in", "\nunpinned\n", "unpinned", instead="\n"),
    Offence("migrations", "flags/models/exposure.py", "max_length=101", "Alter field flag on exposure", instead="max_length=100"),
    Offence("openapi", "docs/openapi.yaml", "title: Another\n", "files were modified by this hook", instead="title: ValueCanvas\n"),
    Offence("mypy", "wrong_type.py", 'count: int = "one"\n', 'wrong_type.py:1: error: Incompatible types in assignment'),
    Offence("commit-message", "message", "Mended things.\n", "Mended things."),
]  # fmt: skip
