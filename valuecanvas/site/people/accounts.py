"""Accounts of people: the last superuser, sessions, and one-time links to begin."""

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from valuecanvas.site.door.factors import end_sessions


def is_last_superuser(user: User) -> bool:
    """Whether nobody else could give rights. In a transaction, others have to wait."""
    rows = User.objects.filter(is_superuser=True, is_active=True, is_staff=True)
    if connection.in_atomic_block:
        # Of two superusers who demote each other at once, the second sees it.
        rows = rows.select_for_update()
    return set(rows.values_list("pk", flat=True)) == {user.pk}


def lock_out(user: User) -> None:
    """End the sessions and links of a user who may not enter: nothing later revives them."""
    if not user.has_usable_password():
        _void_links(user, is_active=user.is_active)
    end_sessions(user)


class InvitationTokens(PasswordResetTokenGenerator):
    """Tokens for people who were invited and have not begun; used once."""

    key_salt = "valuecanvas.site.people.invitation"

    def check_token(self, user: User | None, token: str | None) -> bool:
        begun = user is None or not is_invited(user)
        return not begun and super().check_token(user, token)


TOKENS = InvitationTokens()


def is_invited(user: User) -> bool:
    """Whether the user was invited, and has neither a password nor logged in yet."""
    return bool(user.is_active and user.is_staff and _has_not_begun(user))


def may_be_invited(user: User) -> bool:
    """Whether a new link can be made; it activates the account again."""
    return bool(user.is_staff and _has_not_begun(user))


def _has_not_begun(user: User) -> bool:
    return user.last_login is None and not user.has_usable_password()


@transaction.atomic
def create_invited(name: str, email: str, groups: list[Group]) -> User:
    """An account of the staff whose user name is the e-mail address."""
    first, _, last = name.partition(" ")
    user = User(
        username=email, email=email, first_name=first, last_name=last, is_staff=True
    )
    user.set_unusable_password()
    user.full_clean(exclude=["password"])
    user.save()
    user.groups.set(groups)
    return user


def make_link(user: User) -> str:
    """The path of a new one-time link; all earlier links are void."""
    _void_links(user, is_active=True)
    name = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("admin:invitation", args=[name, TOKENS.make_token(user)])


def withdraw(user: User) -> None:
    """Void all links and deactivate the account."""
    _void_links(user, is_active=False)


def _void_links(user: User, *, is_active: bool) -> None:
    # An unusable password is random, and part of what a token signs.
    user.set_unusable_password()
    user.is_active = is_active
    user.save(update_fields=["password", "is_active"])


def send_link(user: User, link: str, inviter: str) -> str:
    """Mail the link if there is a mail server. Returns what became of it, in a sentence."""
    if not settings.EMAIL_HOST:
        return "No mail server is set (EMAIL_HOST): give them the link yourself."
    text = (
        f"{inviter} invites you to ValueCanvas.\n\nChoose a password here, within "
        f"{settings.INVITATION_HOURS} hours:\n{link}\n\nYour user name is "
        f"{user.get_username()}. The link works once. If you expected no invitation, "
        "ignore this message."
    )
    message = EmailMessage("Your access to ValueCanvas", text, to=[user.email])
    try:
        message.send()
    except OSError as error:  # also what SMTP refuses
        return f"It could not be mailed ({type(error).__name__}): give them the link yourself."
    return f"It was mailed to {user.email}."
