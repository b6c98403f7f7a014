"""Checks a restored copy as the product would use it: the ledger, keys and a request.

It runs in a process of its own whose settings lead to the copy.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from django.conf import settings

from billing.accounting import reconcile
from billing.models import Budget, Customer, Price, Tier, Usage
from llm.gateway import complete_sync
from llm.models import Model, Provider, Route
from llm.setup.catalogue import DEMO_MODEL
from valuecanvas.backups.errors import BackupError
from valuecanvas.core.crypto import UnreadableSecret
from valuecanvas.core.errors import GatewayError
from valuecanvas.core.ids import uuid7

# Of the rows that are added to the copy.
NAME = "restore-check"


def check_ledger() -> str:
    """Add the ledger up again, every day of it. Raises BackupError on drift."""
    report = reconcile.check(None)
    # What was under way when the dump was made has outlived its lease in the copy.
    drifting = [
        one for one in report.findings if not one.ok and one.invariant.name != "overdue"
    ]
    if drifting:
        names = ", ".join(one.invariant.title for one in drifting)
        raise BackupError(f"The ledger does not add up: {names}.")
    checked = sum(one.checked for one in report.findings)
    return f"{checked:,} rows, no drift"


def check_secrets() -> str:
    """Decrypt every stored provider key. Raises BackupError."""
    sealed = [row for row in Provider.objects.order_by("key") if row.api_key_sealed]
    try:
        for row in sealed:
            row.open_key()
    except UnreadableSecret:
        raise BackupError(
            f"The key of the provider {row.key} cannot be decrypted with FIELD_KEY."
        ) from None
    return f"stored provider keys decrypted: {len(sealed)}"


def check_request() -> str:
    """Serve one request by the demo provider, and find its bill. Raises BackupError."""
    with _demo_provider() as url:
        customer = _add_rows(url)
        try:
            messages = [{"role": "user", "content": "Are you there?"}]
            answer = complete_sync(messages=messages, model=NAME, customer=customer)
        except GatewayError as error:
            raise BackupError(f"A request was refused: {error.message}") from None
    row = Usage.objects.filter(customer_id=customer.pk, status="ok").first()
    if row is None or not answer.content:
        raise BackupError("A request was answered, but there is no bill of it.")
    return f"answered by the demo provider, billed {row.cost_usd} USD"


@contextmanager
def _demo_provider() -> Iterator[str]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "demo_provider"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            # "... listening on <URL>"
            url = line.rpartition(" ")[2].strip()
            if not url:
                raise BackupError("The demo provider did not start.")
            yield url
        finally:
            process.terminate()


def _add_rows(url: str) -> Customer:
    """A model that only the demo provider serves, and a customer with quota.

    A budget that is used up refuses the request, and says nothing of the backup.
    """
    Budget.objects.update(enabled=False)
    provider = Provider.objects.create(
        key=NAME, name=NAME, kind="compatible", base_url=url, enabled=True
    )
    model = Model.objects.create(name=NAME, max_output_tokens=64)
    Route.objects.create(model=model, provider=provider, upstream_model=DEMO_MODEL)
    price = Decimal("0.10")
    Price.objects.create(
        provider=NAME, upstream_model=DEMO_MODEL, input_usd=price, output_usd=price
    )
    tier = Tier.objects.create(
        key=NAME, name=NAME, daily_requests=10, max_output_tokens=64
    )
    return Customer.objects.create(user_id=f"{NAME}-{uuid7()}", tier=tier)
