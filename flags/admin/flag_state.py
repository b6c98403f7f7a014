"""The state of a flag as a label with its colour."""

from flags.models import Flag


def badge(flag: Flag) -> dict[str, str]:
    """`text` and `type` of the label."""
    if flag.archived:
        return {"text": "archived", "type": ""}
    if flag.killed:
        return {"text": "killed", "type": "danger"}
    if not flag.enabled or flag.everyone is False:
        return {"text": "off", "type": "warning"}
    return {"text": "on", "type": "success"}
