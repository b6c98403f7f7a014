"""References to providers' keys in AWS Secrets Manager: `aws-sm://name#field`."""

import json
import re
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

_REFERENCE = re.compile(
    r"aws-sm://(?P<name>[\w/+=.@:-]{1,512})(?:#(?P<field>[\w.-]+))?"
)
TIMEOUT_S = 3


class UnreadableReference(Exception):
    """The secret could not be read. The message says why, and shows no secret."""


def check_reference(text: str) -> None:
    """Raises ValidationError for a text that is no reference, or not an allowed one."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise ValidationError("Write aws-sm://NAME or aws-sm://NAME#FIELD.")
    if not found["name"].startswith(settings.PROVIDER_SECRETS_PREFIX):
        # Else whoever edits providers could have any secret sent to a host of theirs.
        raise ValidationError(
            f"The name must begin with {settings.PROVIDER_SECRETS_PREFIX} "
            "(PROVIDER_SECRETS_PREFIX)."
        )


def read_key(reference: str) -> str:
    """The key that the reference leads to. Blocks. Raises UnreadableReference."""
    try:
        check_reference(reference)
        name, _, field = reference.removeprefix("aws-sm://").partition("#")
        text = _client().get_secret_value(SecretId=name)["SecretString"]
        key = json.loads(text)[field] if field else text
    except ValidationError as error:
        raise UnreadableReference(error.messages[0]) from None
    except Exception as error:  # noqa: BLE001 - boto3 makes its classes at run time
        # Without its message: that of a JSON error shows the secret.
        raise UnreadableReference(
            f"The secret cannot be read: {type(error).__name__}."
        ) from None
    if not isinstance(key, str) or not key.strip():
        raise UnreadableReference("The secret has no text there.")
    return key.strip()


def _client() -> Any:
    # Its import takes long, and few installations need it.
    boto3, config = import_module("boto3"), import_module("botocore.config")
    limits = config.Config(
        connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"max_attempts": 1}
    )
    return boto3.client("secretsmanager", config=limits)
