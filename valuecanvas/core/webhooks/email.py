"""Sends a message by e-mail, through the server that EMAIL_HOST names."""

import smtplib

import orjson
from django.conf import settings
from django.core.mail import EmailMessage

from valuecanvas.core.webhooks.kinds import SendAnswer
from valuecanvas.core.webhooks.models import WebhookDelivery


def send(delivery: WebhookDelivery) -> SendAnswer:
    """Make one attempt to send `subject` and `text` of the body. Blocks."""
    if not settings.EMAIL_HOST:
        return SendAnswer("No e-mail server: set EMAIL_HOST.")
    body = orjson.loads(delivery.body)
    addresses = [one.strip() for one in delivery.endpoint.url.split(",")]
    # The same on every attempt, so that a mail program shows a repetition once.
    headers = {"Message-ID": f"<{delivery.pk}@valuecanvas>"}
    message = EmailMessage(body["subject"], body["text"], to=addresses, headers=headers)
    try:
        message.send()
    except (smtplib.SMTPException, OSError) as error:
        # Without its text, which may repeat addresses and what the server was told.
        code = getattr(error, "smtp_code", None)
        said = f" {code}" if isinstance(code, int) else ""
        return SendAnswer(
            f"The e-mail server refused it ({type(error).__name__}{said})."
        )
    return SendAnswer()
