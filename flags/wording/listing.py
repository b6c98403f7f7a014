"""The state of a flag in a few words."""

import datetime as dt

from flags.models import Flag


def state(flag: Flag, today: dt.date) -> str:
    """'killed', 'off' or 'on for 25 %', with '(expired)' if it is."""
    words = _state(flag)
    return f"{words} (expired)" if is_expired(flag, today) else words


def _state(flag: Flag) -> str:
    if flag.archived:
        return "archived"
    if flag.killed:
        return "killed"
    if not flag.enabled or flag.everyone is False:
        return "off"
    if flag.everyone:
        return "on for everyone"
    return f"on for {flag.share / 100:g} %"


def is_expired(flag: Flag, today: dt.date) -> bool:
    """Whether the expiry date has passed."""
    return flag.expires_on is not None and flag.expires_on < today


def badge(flag: Flag) -> dict[str, str]:
    """The state as a label of the admin: its `text` and its `type`."""
    words = _state(flag)
    types = {"archived": "", "killed": "danger", "off": "warning"}
    found = types.get(words, "success")
    return {"text": words if words in types else "on", "type": found}
