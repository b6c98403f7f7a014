"""Counts the lines of the product's Python by folder and commit.

python -m bench.lines [COMMIT [COMMIT]]   # two commits: before and after
"""

import subprocess
import sys
from collections import Counter

APPS = ("valuecanvas", "llm", "prompts", "flags", "billing")


def _git(*arguments: str) -> str:
    done = subprocess.run(("git", *arguments), capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout


def count(commit: str) -> Counter[str]:
    """Lines by app and first folder, without migrations."""
    # Against the empty tree, so that each line counts as added.
    empty = _git("hash-object", "-t", "tree", "/dev/null").strip()
    found: Counter[str] = Counter()
    for row in _git("diff", "--numstat", "--no-renames", empty, commit, "--", *APPS).splitlines():  # fmt: skip
        added, _, path = row.split("\t")
        if path.endswith(".py") and "/migrations/" not in path:
            found["/".join(path.split("/")[:2][: path.count("/")])] += int(added)
    return found


def main() -> None:
    counts = [count(commit) for commit in sys.argv[1:3] or ["HEAD"]]
    for folder in sorted(set().union(*counts)):
        print(f"{folder:<28}", *(f"{one[folder]:>7}" for one in counts))
    print(f"{'all':<28}", *(f"{one.total():>7}" for one in counts))


if __name__ == "__main__":
    main()
