"""The tags of a request: the key's own, and those that the request names."""

from billing.auth.principal import Principal
from billing.budget_scopes import MOST_TAGS, TAG_RULE, is_tag
from valuecanvas.core.errors import InvalidRequest, NotPermitted

HEADER = "x-valuecanvas-tags"
MOST_BYTES = 1000


def parse(header: str | None) -> tuple[str, ...]:
    """The names in the header, which are separated by commas. Raises InvalidRequest."""
    if header is None:
        return ()
    if len(header) > MOST_BYTES:
        raise InvalidRequest(
            f"'{HEADER}' may be at most {MOST_BYTES} bytes.", param=HEADER
        )
    names = [name.strip() for name in header.split(",")]
    if unfit := [name for name in names if not is_tag(name)]:
        raise InvalidRequest(
            f"'{HEADER}': {unfit[0]!r} is no tag. {TAG_RULE}", param=HEADER
        )
    return tuple(dict.fromkeys(names))


def tags_of(principal: Principal, named: tuple[str, ...]) -> tuple[str, ...]:
    """All tags of a request that names `named`, in order of their names.

    Raises NotPermitted, InvalidRequest.
    """
    if not named:
        return principal.tags
    found = {*principal.tags, *named}
    if beyond := sorted(found - principal.allowed_tags - {*principal.tags}):
        raise NotPermitted(
            f"This key may not use the tag '{beyond[0]}': it can be allowed at the key.",
            param=HEADER,
        )
    if len(found) > MOST_TAGS:
        raise InvalidRequest(f"A request has at most {MOST_TAGS} tags.", param=HEADER)
    return tuple(sorted(found))
