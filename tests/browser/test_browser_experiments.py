"""An experiment from its draft to its winner, as an operator does it."""

import os
import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from prompts.experiments import service
from prompts.experiments.drafts import ArmSpec
from prompts.models import Experiment, Label
from tests.browser.conftest import Site
from tests.prompts.experiments.rows import (
    make_actor,
    make_draft,
    make_prompt,
    rows_for,
    said_of,
)

pytestmark = pytest.mark.browser
LIST = "/admin/prompts/experiment/"


def picture(site: Site, folder: Path, name: str) -> None:
    """Taken always; those of the guide are kept where DOCS_IMAGES says."""
    kept = os.environ.get("DOCS_IMAGES") if name.startswith("experiments-") else None
    target = Path(kept or folder) / f"{name}.png"
    site.page.screenshot(path=target, full_page=True, animations="disabled")
    assert target.stat().st_size > 10_000


def fill(experiment: Experiment) -> None:
    """Two days' requests: the new version is liked more, and somewhat slower."""
    dice, now = random.Random(5), timezone.now()
    for hours in range(48):
        at = now - timedelta(hours=hours, minutes=1)
        for arm, slow, liked in (("current", 700, 0.68), ("shorter", 800, 0.84)):
            rows = rows_for(
                experiment.prompt.key,
                f"{experiment.key}:{arm}",
                dice.randint(10, 25),
                at=at,
                failed=int(dice.random() < 0.35),
                latency_ms=lambda i, slow=slow: int(slow * dice.lognormvariate(0, 0.3)),
                cost_usd=lambda i: round(0.002 * dice.lognormvariate(0, 0.4), 6),
                prefix=f"{arm}-{hours}",
                prompt_version=1 if arm == "current" else 2,
            )
            for row in rows:
                if row.status == "ok" and dice.random() < 0.6:
                    said_of([row], 1 if dice.random() < liked else -1)
    Experiment.objects.filter(pk=experiment.pk).update(
        started_at=now - timedelta(hours=48)
    )


def test_experiment__from_draft_to_winner__without_leaving_the_admin(
    site: Site,
) -> None:
    prompt = make_prompt("canvas.generate")
    page = site.open(f"{LIST}add/?prompt={prompt.pk}")
    page.fill("#id_key", "shorter-canvas")
    page.fill("#id_hypothesis", "A shorter answer is liked more.")
    page.fill("#id_arms-1-name", "shorter")
    page.fill("#id_arms-1-number", "2")
    page.click("[name=_continue]")
    expect(page.locator("body")).to_contain_text("Not started")
    page.click("a:has-text('Start')")
    page.click("text=Start the experiment")
    expect(page.locator("body")).to_contain_text("It applies to requests from now on.")
    expect(page.locator("#verdict")).to_contain_text("Too early to tell.")
    page.click("a:has-text('Promote a winner')")
    page.select_option("#id_arm", "shorter")
    page.fill("#id_reason", "Everybody here likes it more.")
    page.click("button:has-text('Promote the winner')")
    expect(page.locator("body")).to_contain_text("Promoted shorter")
    assert Label.objects.get(prompt=prompt).version.number == 2
    assert site.complaints == []


def test_results__of_two_days__are_drawn_and_told(site: Site, tmp_path: Path) -> None:
    draft = make_draft(
        make_prompt("canvas.generate"),
        key="shorter-canvas",
        hypothesis="A shorter answer is liked more.",
        arms=[
            ArmSpec("current", 5000, version=1, control=True),
            ArmSpec("shorter", 5000, version=2),
        ],
    )
    experiment = service.start(draft, actor=make_actor("olga"))
    fill(experiment)
    page = site.open(f"{LIST}{experiment.pk}/change/")
    expect(page.locator(".vx-headline")).to_have_text("shorter is better than current.")
    expect(page.locator("#verdict svg rect")).to_have_count(1)
    for canvas in page.locator("canvas.chart").all():
        drawn = "one => one.getContext('2d') && one.width > 0 && !!Chart.getChart(one)"
        assert canvas.evaluate(drawn)
    assert site.overflow() == 0
    picture(site, tmp_path, "experiments-results")
    page.evaluate("document.documentElement.classList.add('dark')")
    picture(site, tmp_path, "dark")
    page.set_viewport_size({"width": 390, "height": 844})
    # The charts follow a moment later.
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    picture(site, tmp_path, "narrow")
    assert site.complaints == []


def test_draft__page__fits_wide_and_narrow(site: Site, tmp_path: Path) -> None:
    prompt = make_prompt("canvas.generate")
    page = site.page
    page.set_viewport_size({"width": 1440, "height": 1280})
    site.open(f"{LIST}add/?prompt={prompt.pk}")
    page.fill("#id_key", "shorter-canvas")
    page.fill("#id_hypothesis", "A shorter answer is liked more.")
    page.fill("#id_arms-1-name", "shorter")
    page.fill("#id_arms-1-number", "2")
    picture(site, tmp_path, "experiments-draft")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    assert site.complaints == []
