"""Issue new credentials if the first ones were lost."""

from typing import Any

from django.core.management.base import BaseCommand

from llm.setup import seed


class Command(BaseCommand):
    help = "Issue a new admin password and a new API key; both are shown once."

    def handle(self, **options: Any) -> None:
        issued = seed.new_credentials()
        self.stdout.write(f"Admin login: {issued.admin_name} / {issued.admin_password}")
        self.stdout.write(f"API key: {issued.api_key}")
