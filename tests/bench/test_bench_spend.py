"""Each act that the bench of spend times can be done, as in production."""

import pytest
from pytest_django import Settings

from bench import spend_times, usage_rows
from billing.usage import rollup


@pytest.mark.django_db(transaction=True)
def test_acts__few_rows_in_production__are_all_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ADMIN_MFA = "required"
    monkeypatch.setattr(spend_times, "ROUNDS", 1)
    assert [*usage_rows.fill(3000, spend_times.DAYS)]
    rollup.catch_up()
    found = spend_times.measure_acts()
    assert {"dashboard", *spend_times.EXPLAINED} <= found["ms"].keys()
    assert all("Scan" in plan for plan in found["plans"].values())
