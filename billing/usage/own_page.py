"""The page /usage, where a key holder sees its own use after a sign-in with the key."""

from typing import Any

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import View

from billing.auth import key_check, key_facts
from billing.auth.principal import Principal
from billing.usage.own_usage import read_own_usage
from valuecanvas.core.api.throttle import WrongKeyThrottle
from valuecanvas.core.errors import GatewayError, NotAuthenticated

# It names the key, and is worthless without the server's secret. It never has the key.
COOKIE, SALT = "vc_usage", "billing.usage.own_page"
SIGNED_IN_S = 8 * 3600


@method_decorator(never_cache, name="dispatch")
class OwnUsagePage(View):
    """GET shows the use, or asks for the key; POST signs in, or out with `out`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            who = _signed_in(request)
        except GatewayError as error:
            return _ask(request, error.message)
        if who is None:
            return _ask(request)
        return render(request, "usage/own.html", {"usage": read_own_usage(who)})

    def post(self, request: HttpRequest) -> HttpResponseBase:
        answer = redirect("own_usage")
        if "out" in request.POST:
            answer.delete_cookie(COOKIE, path="/usage", samesite="Strict")
            return answer
        try:
            who = _sign_in(request, request.POST.get("key", "").strip())
        except GatewayError as error:
            return _ask(request, error.message, status=error.status)
        answer.set_cookie(
            COOKIE,
            signing.dumps(who.key, salt=SALT),
            max_age=SIGNED_IN_S,
            path="/usage",
            secure=request.is_secure(),
            httponly=True,
            samesite="Strict",
        )
        return answer


def _sign_in(request: HttpRequest, text: str) -> Principal:
    """Raises NotAuthenticated, NotPermitted, TooManyRequests."""
    prefix = key_check.prefix(text)
    throttle = WrongKeyThrottle(request, prefix)
    throttle.refuse()
    try:
        return key_check.prove(text, key_facts.load_keys([prefix]).get(prefix))
    except NotAuthenticated as error:
        raise throttle.count_failure(error) from None


def _signed_in(request: HttpRequest) -> Principal | None:
    """The key holder; None: nobody. Raises NotAuthenticated, NotPermitted."""
    try:
        cookie = request.COOKIES.get(COOKIE, "")
        prefix: str = signing.loads(cookie, salt=SALT, max_age=SIGNED_IN_S)
    except signing.BadSignature:
        return None
    # Revoked, expired or suspended since.
    return key_check.require_valid(key_facts.load_keys([prefix]).get(prefix))


def _ask(request: HttpRequest, problem: str = "", status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {"problem": problem}
    return render(request, "usage/sign_in.html", context, status=status)
