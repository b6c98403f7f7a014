"""The forms of users: groups with what their members do, and the last superuser."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from unfold.forms import UserChangeForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from valuecanvas.core.admin.forms import ConsoleForm
from valuecanvas.site.people.accounts import is_last_superuser
from valuecanvas.site.people.ready_groups import SENTENCES

LAST = (
    "This is the last active superuser: nobody could manage users any more. "
    "Make another superuser first."
)


class GroupsField(forms.ModelMultipleChoiceField):
    """Groups to choose from, each with what its members do."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            Group.objects.order_by("name"),
            widget=UnfoldAdminCheckboxSelectMultipleWidget,
            help_text="What this person may do; several groups add up.",
            **options,
        )

    def label_from_instance(self, group: Group) -> str:
        return f"{group.name}: {SENTENCES.get(group.name, 'a group of your own.')}"


class UserForm(UserChangeForm):  # type: ignore[misc]  # unfold has no types
    """A user, changed by a superuser."""

    class Meta:
        model = User
        fields = "__all__"
        help_texts = {
            "is_active": "Without it the person is logged out at once and cannot log in. "
            "Do this instead of deleting an account.",
            "is_staff": "May log in to this console. What they see and do there comes "
            "from their groups; without any, it is nothing.",
            "is_superuser": "May do everything, also what no group allows: users, groups, "
            "addresses and keys of providers. For two or three people.",
        }

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean()
        stays = all(
            found.get(name, getattr(self.instance, name))
            for name in ("is_active", "is_staff", "is_superuser")
        )
        if not stays and is_last_superuser(self.instance):
            raise ValidationError(LAST)
        return found


class InvitationForm(ConsoleForm):
    """A colleague who shall use this console."""

    name = forms.CharField(max_length=150, widget=forms.TextInput({"autofocus": True}))
    email = forms.EmailField(
        max_length=150,
        label="E-mail",
        widget=forms.TextInput,
        help_text="Also the user name.",
    )
    groups = GroupsField()

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        taken = User.objects.filter(username__iexact=email)
        if (taken | User.objects.filter(email__iexact=email)).exists():
            raise ValidationError(
                "There is an account with this address: find it in the list of users."
            )
        return email
