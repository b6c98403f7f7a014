"""Filters of the lists of jobs, batches and files."""

import re
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from billing.models import Customer
from llm.jobs.types import JOB_TYPES
from valuecanvas.core.admin.filters import NamesFilter, TermFilter
from valuecanvas.core.ids import uuid_or_none

# Customers of one user id: of several teams.
MOST_CUSTOMERS = 50


def find_id(term: str) -> UUID | None:
    """The id that `term` is, also as OpenAI's API writes it; None if it is none."""
    return uuid_or_none(re.sub("^(batch_|file-)", "", term))


def owned_by(term: str) -> Q:
    """The rows of a customer, named by the user id or the customer's own id."""
    if own_id := uuid_or_none(term):
        return Q(customer_id=own_id)
    rows = Customer.objects.filter(user_id=term).values_list("pk", flat=True)
    return Q(customer_id__in=list(rows[:MOST_CUSTOMERS]))


class JobTypeFilter(NamesFilter):
    title = "type"
    parameter_name = "type"

    def names(self) -> Iterable[tuple[str, str]]:
        return [(name, name) for name in sorted(JOB_TYPES)]


class OwnerFilter(TermFilter):
    title = "customer: user id, or its own id"
    parameter_name = "customer"

    def condition(self, term: str) -> Q:
        return owned_by(term)


class BatchFilter(TermFilter):
    title = "batch: its id"
    parameter_name = "batch"

    def condition(self, term: str) -> Q:
        found = find_id(term)
        return Q(batch=found) if found else Q(pk__in=[])


class TagFilter(TermFilter):
    title = "tag"
    parameter_name = "tag"

    def condition(self, term: str) -> Q:
        return Q(tags__contains=[term])
