"""Where alerts come from and how they are sent."""

from valuecanvas import env

# What finds the conditions of each kind of rule: functions of billing.alerts.types.Source.
ALERT_SOURCES = {
    "budget_threshold": "billing.alerts.budget_thresholds.find_passed",
    "spend_anomaly": "billing.alerts.spend_anomaly.find_unusual_spend",
    "error_rate": "llm.alerts.error_rate.find_error_rates",
    "breaker_opened": "llm.alerts.breaker_alerts.find_open_breakers",
    "unpriced_model": "billing.alerts.ledger_alerts.find_unpriced",
    "ledger_drift": "billing.alerts.ledger_alerts.find_drift",
    "provider_key": "llm.alerts.breaker_alerts.find_refused_keys",
    "backup_missing": "valuecanvas.site.backup_alerts.find_missing_backup",
}
CONSOLE_URL = env.url(
    "CONSOLE_URL",
    "Where people open this console, for the links in alerts. Empty: no links.",
    schemes=("http", "https"),
).rstrip("/")
PAGERDUTY_URL = env.url(
    "PAGERDUTY_URL",
    "PagerDuty's Events API; https://events.eu.pagerduty.com in the EU.",
    "https://events.pagerduty.com",
    schemes=("http", "https"),
).rstrip("/")
ALERTS_KEEP_DAYS = env.integer("ALERTS_KEEP_DAYS", "Days that resolved alerts are kept.", 365, low=7, high=3650)  # fmt: skip
