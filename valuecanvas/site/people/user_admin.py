"""Admin pages of users and groups. Only superusers change them."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm, UserCreationForm

from valuecanvas.core.access.recent_login import (
    RecentLoginAdmin,
    require_recent_login,
)
from valuecanvas.core.admin.bases import Admin, action, display, fieldset
from valuecanvas.site.door.reset import ResetFactorsMixin
from valuecanvas.site.people import accounts, invitation
from valuecanvas.site.people.ready_groups import SENTENCES
from valuecanvas.site.people.user_form import GroupsField, UserForm

admin.site.unregister(User)
admin.site.unregister(Group)


class SuperusersOnly(RecentLoginAdmin, Admin):
    """Only superusers change users and groups; others may view them with the right."""

    delete_many = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)


# Django's class comes first: unfold has an empty `add_fieldsets` of its own.
@admin.register(User)
class UserAdmin(ResetFactorsMixin, DjangoUserAdmin, SuperusersOnly):  # type: ignore[misc]  # unfold has no types
    form = UserForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "email",
        "role",
        "is_active",
        "groups_text",
        "last_login",
    )
    fieldsets = (  # type: ignore[assignment]  # fixed lengths in the stubs
        fieldset(None, "username", "password"),
        fieldset("Person", ("first_name", "last_name"), "email"),
        fieldset("Access", "is_active", "is_staff", "groups"),
        fieldset(
            "Advanced",
            "is_superuser",
            "user_permissions",
            classes=["collapse"],
            description="Rights that no group gives. Seldom needed: a group says to "
            "everybody what its members may do.",
        ),
        fieldset("Dates", "last_login", "date_joined"),
    )
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ("user_permissions",)
    actions_list = ("invite_page",)
    change_form_outer_after_template = "admin/people/invitation.html"
    pages = (invitation.InvitedPage, invitation.NewLinkPage, invitation.WithdrawPage)
    empty_text = "Users of this admin. Callers of the API are customers."

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        require_recent_login(request)
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        return answer

    def formfield_for_dbfield(
        self, db_field: Any, request: HttpRequest, **options: Any
    ) -> Any:
        if db_field.name == "groups":
            return GroupsField(required=False)
        return super().formfield_for_dbfield(db_field, request, **options)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not super().has_delete_permission(request, obj):
            return False
        # Unfold passes an id, Django the object. What somebody did would go with them.
        acted = LogEntry.objects.filter(user=getattr(obj, "pk", obj))
        return obj is None or not (
            acted.exists()
            or (isinstance(obj, User) and accounts.is_last_superuser(obj))
        )

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if not (obj.is_active and obj.is_staff):
            accounts.lock_out(obj)

    def details(self, request: HttpRequest, row: User) -> dict[str, Any]:
        may_change = self.has_change_permission(request)
        return {
            "may_invite": may_change and accounts.may_be_invited(row),
            "invited": accounts.is_invited(row),
        }

    @action(
        description="Invite a colleague",
        url_path="invite",
        icon="person_add",
        permissions=["add"],
    )
    def invite_page(self, request: HttpRequest) -> HttpResponse:
        return invitation.invite(self, request)

    @display(
        description="Role",
        label={
            "superuser": "danger",
            "staff": "info",
            "invited": "warning",
            "no access": "default",
        },
    )
    def role(self, user: User) -> str:
        if user.is_superuser:
            return "superuser"
        if accounts.is_invited(user):
            return "invited"
        return "staff" if user.is_staff else "no access"

    @display(description="Groups")
    def groups_text(self, user: User) -> str:
        return ", ".join(group.name for group in user.groups.all()) or "–"


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, SuperusersOnly):  # type: ignore[misc]  # unfold has no types
    list_display = ("name", "sentence")
    fieldsets = (  # type: ignore[assignment]  # fixed lengths in the stubs
        fieldset(None, "name"),
        fieldset("Advanced", "permissions", classes=["collapse"]),
    )
    empty_text = "A group is a set of rights. The ready ones are created automatically."

    @display(description="What its members do")
    def sentence(self, group: Group) -> str:
        return SENTENCES.get(group.name, "A group of your own.")
