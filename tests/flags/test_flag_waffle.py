"""Waffle's decorators, template tags, commands and overrides on our model."""

from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.management import call_command
from django.db import OperationalError, connection
from django.http import Http404, HttpResponse
from django.template import Context, Template
from django.test import RequestFactory
from django.views.generic import View
from waffle import flag_is_active, sample_is_active, switch_is_active
from waffle.decorators import waffle_flag, waffle_switch
from waffle.middleware import WaffleMiddleware
from waffle.mixins import WaffleFlagMixin
from waffle.models import Sample, Switch
from waffle.testutils import override_flag, override_sample, override_switch

from flags import services
from flags.engine.evaluation import evaluate
from flags.models import Flag
from flags.site_visitor import context_of_request
from tests.flags.rows import ADA, make_colours, make_flag

pytestmark = pytest.mark.django_db


def request_of(user=None, path="/", session=None, **headers):
    request = RequestFactory().get(path, headers=headers)
    request.user = user or AnonymousUser()
    if session:
        request.session = SimpleNamespace(session_key=session)
    return request


def person(name="ada", **fields):
    return User.objects.create_user(name, **fields)


@waffle_flag("a-flag")
def guarded(request):
    return HttpResponse("in")


@waffle_flag("!a-flag")
def guarded_inversely(request):
    return HttpResponse("out")


class Guarded(WaffleFlagMixin, View):
    waffle_flag = "a-flag"

    def get(self, request):
        return HttpResponse("in")


TEMPLATE = Template(
    "{% load waffle_tags %}{% flag 'a-flag' %}on{% else %}off{% endflag %}"
    "{% switch 'a-switch' %}on{% else %}off{% endswitch %}"
)


def test_flag__on_and_off__decorators_mixin_and_tag_follow():
    flag = make_flag("a-flag", percent=100)
    assert guarded(request_of()).content == b"in"
    assert Guarded.as_view()(request_of()).content == b"in"
    assert TEMPLATE.render(Context({"request": request_of()})) == "onoff"
    with pytest.raises(Http404):
        guarded_inversely(request_of())
    services.disable(flag, actor=ADA)
    for view in (guarded, Guarded.as_view()):
        with pytest.raises(Http404):
            view(request_of())
    assert guarded_inversely(request_of()).content == b"out"
    assert TEMPLATE.render(Context({"request": request_of()})) == "offoff"
    assert TEMPLATE.render(Context({})) == "offoff"


def test_flag__missing__waffles_default(settings):
    assert flag_is_active(request_of(), "nothing") is False
    settings.WAFFLE_FLAG_DEFAULT = True
    assert flag_is_active(request_of(), "nothing") is True
    settings.WAFFLE_CREATE_MISSING_FLAGS = True
    assert flag_is_active(request_of(), "nothing") is True
    assert Flag.objects.get().everyone is True


def test_flag__archived_instance__off():
    flag = make_flag(percent=100)
    services.archive(flag, actor=ADA)
    assert Flag.objects.get().is_active(request_of()) is False


@override_flag("a-flag", active=True)
def test_override_flag__decorator_of_a_missing_flag__on():
    assert flag_is_active(request_of(), "a-flag") is True


@pytest.mark.parametrize("active", [True, False])
def test_override_flag__as_a_context__then_as_it_was(active):
    make_flag("a-flag", percent=0 if active else 100)
    with override_flag("a-flag", active=active):
        assert flag_is_active(request_of(), "a-flag") is active
    assert flag_is_active(request_of(), "a-flag") is not active
    with override_flag("new", active=True):
        assert flag_is_active(request_of(), "new")
    assert not Flag.objects.filter(name="new").exists()


def test_switches_and_samples__as_ever__work():
    Switch.objects.create(name="a-switch", active=True)
    Sample.objects.create(name="always", percent=100)
    assert switch_is_active("a-switch")
    assert sample_is_active("always")
    assert waffle_switch("a-switch")(guarded_inversely)(request_of()).content == b"out"
    with override_switch("a-switch", active=False), override_sample("always", 0):
        assert not switch_is_active("a-switch")
        assert not sample_is_active("always")


def test_percentage__of_people__sticky_without_a_cookie():
    make_flag("a-flag", percent=50)
    people = [person(f"p{n}") for n in range(40)]
    first = {one.pk for one in people if flag_is_active(request_of(one), "a-flag")}
    assert 5 < len(first) < 35
    again = request_of(people[0])
    for one in people:
        assert flag_is_active(request_of(one), "a-flag") is (one.pk in first)
    flag_is_active(again, "a-flag")
    answer = WaffleMiddleware(lambda _: HttpResponse()).process_response(again, HttpResponse())  # fmt: skip
    assert not answer.cookies


def test_percentage__unknown_visitors__by_their_session():
    make_flag("a-flag", percent=50)
    answers = [
        {flag_is_active(request_of(session=f"s{n}"), "a-flag") for _ in range(3)}
        for n in range(30)
    ]
    assert all(len(one) == 1 for one in answers)
    assert {True} in answers
    assert {False} in answers
    assert flag_is_active(request_of(), "a-flag") is False


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"superusers": True}, {"is_superuser": True}),
        ({"staff": True, "superusers": False}, {"is_staff": True}),
        ({"authenticated": True}, {}),
        ({"users": ["ada"]}, {}),
        ({"user_ids": ["ada"]}, {}),
        ({"groups": ["Testers"]}, {}),
    ],
)
def test_targeting__people_as_waffle_does__in(fields, user):
    group = Group.objects.create(name="Testers")
    ada = person(**user)
    ada.groups.add(group)
    flag = make_flag("a-flag", **fields)
    assert flag_is_active(request_of(ada), "a-flag") is True
    assert flag.is_active_for_user(ada) is True
    assert flag_is_active(request_of(person("bob")), "a-flag") is (
        "authenticated" in fields
    )
    assert flag_is_active(request_of(), "a-flag") is False


def test_members__added_and_removed_by_hand__count_at_once():
    flag, ada = make_flag("a-flag"), person()
    flag.users.add(ada)
    assert flag_is_active(request_of(ada), "a-flag")
    ada_again = User.objects.get()
    ada_again.flag_set.remove(flag)
    assert not flag_is_active(request_of(ada), "a-flag")


def test_language__named__in():
    make_flag("a-flag", languages="de, fr")
    request = request_of()
    request.LANGUAGE_CODE = "fr"
    assert flag_is_active(request, "a-flag")


def test_testing_mode__query_header_cookie__force_it():
    make_flag("a-flag", testing=True)
    name = "dwft_a-flag"
    asked = request_of(path=f"/?{name}=1")
    assert flag_is_active(asked, "a-flag") is True
    answer = WaffleMiddleware(lambda _: HttpResponse()).process_response(asked, HttpResponse())  # fmt: skip
    assert answer.cookies[name].value == "True"
    assert flag_is_active(request_of(**{name.replace("_", "-"): "0"}), "a-flag") is False  # fmt: skip
    kept = request_of()
    kept.COOKIES[name] = "True"
    assert flag_is_active(kept, "a-flag") is True
    services.kill(Flag.objects.get(), actor=ADA)
    assert flag_is_active(request_of(path=f"/?{name}=1"), "a-flag") is False


def test_override_setting__in_the_query__forces_it(settings):
    make_flag("a-flag")
    asked = request_of(path="/?a-flag=1")
    assert flag_is_active(asked, "a-flag") is False
    settings.WAFFLE_OVERRIDE = True
    assert flag_is_active(asked, "a-flag") is True


def test_text_flag__a_variant_given__active():
    flag = make_colours("a-flag", blue=10_000)
    ada = person()
    assert flag_is_active(request_of(ada), "a-flag") is True
    services.set_percent(flag, 0, actor=ADA)
    assert flag_is_active(request_of(ada), "a-flag") is False


def test_get__a_flag__reads_the_rest_on_demand(django_assert_num_queries):
    make_flag("a-flag", note="A note")
    flag = Flag.get("a-flag")
    with django_assert_num_queries(1):
        assert flag.note == "A note"
    assert Flag.get("nothing").pk is None


def test_command__of_waffle__works_on_our_model(capsys):
    person()
    Group.objects.create(name="Testers")
    call_command("waffle_flag", "by-command", "--create", "--percent", "30", "--user", "ada", "--group", "Testers")  # fmt: skip
    flag = Flag.objects.get()
    assert (flag.percent, flag.users.count(), flag.groups.count()) == (30, 1, 1)
    call_command("waffle_flag", "by-command", "--everyone")
    assert flag_is_active(request_of(), "by-command") is True
    call_command("waffle_flag", "--list")
    assert "by-command" in capsys.readouterr().out


def test_bulk_writes__of_flags__count_at_once():
    make_flag("a-flag")
    Flag.objects.update(everyone=True)
    assert flag_is_active(request_of(), "a-flag") is True
    Flag.objects.all().delete()
    assert flag_is_active(request_of(), "a-flag") is False


def test_groups__database_away__as_if_in_none():
    group = Group.objects.create(name="Testers")
    ada = person()
    ada.groups.add(group)
    make_flag("a-flag", groups=["Testers"])
    flags = apps.get_app_config("flags").store.current()

    def away(execute, sql, params, many, context):
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away):
        found = evaluate(flags, "a-flag", context_of_request(request_of(ada)))
    assert found.value is False
    assert evaluate(flags, "a-flag", context_of_request(request_of(ada))).value is True
