"""Figures and names as people read them."""

from decimal import Decimal

import pytest
from django.test import RequestFactory

from llm.models import Model
from valuecanvas.core.admin.filters import NamesFilter
from valuecanvas.core.templatetags import figures


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "–"),
        (Decimal(0), "$0.00"),
        (Decimal("0.5"), "$0.50"),
        (Decimal("0.000001"), "$0.000001"),
        (Decimal("0.1234567"), "$0.123457"),
        (Decimal("1"), "$1.00"),
        (Decimal("1234567.891"), "$1,234,567.89"),
    ],
)
def test_usd__amount__read_at_a_glance(amount: Decimal | None, text: str) -> None:
    assert figures.usd(amount) == text


@pytest.mark.parametrize(
    ("millis", "text"),
    [(None, "–"), (0, "0\u00a0ms"), (999, "999\u00a0ms"), (1000, "1.00\u00a0s")],
)
def test_duration__millis__in_the_fitting_unit(millis: int | None, text: str) -> None:
    assert figures.duration(millis) == text


def test_micros_and_grouped__figures__with_commas() -> None:
    assert figures.micros(1_234_560_000) == "$1,234.56"
    assert figures.commas(1234567) == "1,234,567"


def test_heading__words_get_a_capital__names_do_not() -> None:
    assert figures.heading("requests") == "Requests"
    assert figures.heading(Model(name="gpt-4o-mini")) == "gpt-4o-mini"


def test_names_filter__without_names__is_unfinished() -> None:
    class Nameless(NamesFilter):
        title = parameter_name = "it"

    with pytest.raises(NotImplementedError):
        Nameless(RequestFactory().get("/"), {}, Model, None)
