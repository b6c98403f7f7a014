"""Customers by user id: validation, lookup and creation."""

import re

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from billing.models import Customer, Team, Tier

# No controls, no line separators, no lone surrogates (PostgreSQL takes none).
_USER_ID = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,200}")


def is_user_id(value: object) -> bool:
    """Whether `value` can name a user: text of 1 to 200 characters, no controls."""
    return isinstance(value, str) and _USER_ID.fullmatch(value) is not None


_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def label(text: str) -> str:
    """`text` cut to what a column takes: 200 characters, no controls."""
    return _NOT_IN_NAMES.sub("", text[:400])[:200]


def get_or_add(*, user_id: str, team: str = "", tier: str = "") -> Customer:
    """The customer `user_id` of `team` ('' for none); added in `tier` if new.

    No tier means whichever it is in, or the default one if new. Raises
    ValidationError: unusable user id, no such team or tier, or in another tier already.
    """
    if not is_user_id(user_id):
        raise ValidationError("The user id must be 1 to 200 printable characters.")
    known = Customer.objects.filter(user_id=user_id, team=team or None).first()
    if known and tier and known.tier_id != tier:
        raise ValidationError(f"This customer is in the tier '{known.tier_id}'.")
    if known:
        return known
    try:
        customer = Customer(
            user_id=user_id,
            team=Team.objects.get(pk=team) if team else None,
            tier=Tier.objects.get(pk=tier or settings.DEFAULT_TIER),
        )
    except ObjectDoesNotExist as error:
        raise ValidationError(f"There is no such team or tier: {error}") from error
    customer.full_clean()
    customer.save(force_insert=True)
    return customer
