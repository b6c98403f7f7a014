"""Admin pages of callers and their money.

API keys, prices and requests name models and providers too, so llm/admin has those.
"""

from billing.admin import (
    alert,
    alert_channel,
    alert_rule,
    budget,
    counter,
    customer,
    ledger_check,
    reservation,
    team,
    tier,
)
