"""Finds the key that an operator names on the command line."""

from django.core.management.base import CommandError

from billing.models import ApiKey


def named_key(name: str) -> ApiKey:
    """The key with this prefix, alone or as the admin shows it (vc-PREFIX-…).

    Raises CommandError.
    """
    prefix = name.removeprefix("vc-").partition("-")[0]
    try:
        return ApiKey.objects.get(pk=prefix)
    except ApiKey.DoesNotExist as error:
        raise CommandError(f"There is no key with the prefix '{prefix}'.") from error
