"""Update the built-in groups to the rights of this version."""

from typing import Any

from django.core.management.base import BaseCommand

from valuecanvas.site.groups import ensure_groups


class Command(BaseCommand):
    help = (
        "Make the ready groups (Operator, Auditor ...), or give them the rights that are new "
        "in this version. What was changed by hand stays. `upgrade` does it too."
    )

    def handle(self, **options: Any) -> None:
        changed = ensure_groups()
        text = f"Changed: {', '.join(changed)}." if changed else "Nothing to change."
        self.stdout.write(text)
