"""Checks the strength of secrets; production refuses weak ones."""

import itertools

LEAST_CHARACTERS = 32
LEAST_DIFFERENT = 10
# Words in the examples of docs and tutorials.
EXAMPLES = (
    "changeme", "change-me", "change_me", "changethis", "django-insecure", "example",
    "insecure", "not-a-secret", "password", "placeholder", "replace", "secret",
    "super-", "test-key", "your-", "your_", "hunter2", "qwerty",
)  # fmt: skip


def weakness(value: str) -> str:
    """Why `value` is easy to guess; empty if it is not."""
    if len(value) < LEAST_CHARACTERS:
        return f"has fewer than {LEAST_CHARACTERS} characters"
    if len(set(value)) < LEAST_DIFFERENT:
        return "is made of too few different characters"
    if value in (value + value)[1:-1]:
        return "repeats itself"
    if any(example in value.lower() for example in EXAMPLES):
        return "contains a word from an example"
    # In random text one step in twenty is that small.
    small = sum(abs(ord(a) - ord(b)) <= 1 for a, b in itertools.pairwise(value))
    return "counts up or down" if small > len(value) / 2 else ""
