"""Makes a business model canvas from the words of a prompt."""

import re
from collections.abc import Mapping

# Words by which a line of business is recognised; the first one is any other business.
INDUSTRIES = (
    "",
    "saas software app platform api cloud ai data developer developers tool",
    "restaurant cafe coffee roastery bakery food kitchen bar pizza tea wine",
)
# For each block: a line with the prompt's words, then two phrases per industry.
BLOCKS: Mapping[str, tuple[str, ...]] = {
    "Key Partners": (
        "Firms that already serve {audience}",
        "Suppliers with short delivery times; A partner who already has the audience",
        "Cloud and payment providers; Integration and reseller partners",
        "Local growers and wholesalers; Delivery services and event organisers",
    ),
    "Key Activities": (
        "Running and improving {named}",
        "Winning the first customers and learning from them; Daily operations",
        "Product development and support; Onboarding and keeping the service up",
        "Purchasing, cooking and serving; Hygiene, quality and menu planning",
    ),
    "Key Resources": (
        "People who know all about {named}",
        "A small team that knows the field; Working capital for the first year",
        "Engineering team and code base; Usage data and hosting capacity",
        "Kitchen, premises and licences; Cooks and hosts with recipes of their own",
    ),
    "Value Propositions": (
        "The best of {named}, made for {audience}",
        "A clear result for a fair price; Less effort than the present way",
        "Works in minutes, without installation; Replaces several manual steps",
        "Fresh food with a story; A place where people like to stay",
    ),
    "Customer Relationships": (
        "Regular talks with {audience} about what to do next",
        "Personal contact at the start; A short survey after each purchase",
        "Self-service with in-app guidance; Success manager for large accounts",
        "Regulars' table and loyalty card; Direct answers to reviews",
    ),
    "Channels": (
        "Places where {audience} already look for help",
        "Own website; Recommendations by satisfied customers",
        "Free trial on the website; Marketplaces and content marketing",
        "The shop itself and passers-by; Ordering online and delivery",
    ),
    "Customer Segments": (
        "First of all {audience}",
        "Early adopters with an urgent need; Small firms and households",
        "Small and mid-sized teams; Larger firms that need integration",
        "People who live or work nearby; Groups and company events",
    ),
    "Cost Structure": (
        "Setting up {named}",
        "Wages; Marketing and sales",
        "Salaries of product and support; Hosting and customer acquisition",
        "Ingredients and rent; Staff and energy",
    ),
    "Revenue Streams": (
        "Payments by {audience} for {named}",
        "Sale of the core offer; Service contracts",
        "Monthly and yearly subscriptions by tier; Add-ons and paid onboarding",
        "Sales over the counter; Catering and gift vouchers",
    ),
}

_STOP_TEXT = """a about all also an and any are as at be been best but by can canvas
    could create describe design do does draft each for from generate get give good had
    has have help her here his how i idea if in into is it its just know let like list
    made make many me model more most much my name need new nine of on one only or our
    out over please plan produce provide short should show simple so some such suggest
    tell than that the their them then there these they this those to under up us use
    using very want was we well were what when where which who whose why will with
    within work would write you your block blocks business company hello hey thanks"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_CLAUSE_END = re.compile(r"[.!?\n;:{}\[\]<>\"“”]")
# The words before the subject: "canvas for", "canvas for this business:".
_INTRODUCTION = re.compile(
    r"\bcanvas\s+(?:for|of|about)\b(?:\s+(?:this|the following)\s+\w+\s*:)?", re.I
)
_ARTICLE = re.compile(r"^(?:a|an|the|my|our|your|this|new)\s+", re.I)
_AUDIENCE = re.compile(r"\bfor\s+([\w'’& -]+?)(?:\s+(?:in|with|that|who|by|from)\b|$)")
_DETAILS = re.compile(r" (?:for|in|that|with) |,")
_LONGEST = 80


def blocks(prompt: str) -> dict[str, tuple[str, ...]]:
    """The nine blocks with three lines each, for the business that `prompt` names."""
    words = {word.lower() for word in _WORD.findall(prompt)}
    signs = [len(words & set(industry.split())) for industry in INDUSTRIES]
    industry = signs.index(max(signs))
    about = subject(prompt)
    named = _DETAILS.split(about)[0]
    found = _AUDIENCE.search(about)
    audience = found[1] if found else "its customers"
    return {
        block: (
            own.format(named=named, audience=audience),
            *phrases[industry].split("; "),
        )
        for block, (own, *phrases) in BLOCKS.items()
    }


def markdown(prompt: str) -> str:
    """The canvas as readable markdown, a heading for each block."""
    named = subject(prompt)
    sections = [
        f"## {block}\n" + "\n".join(f"- {line}" for line in lines)
        for block, lines in blocks(prompt).items()
    ]
    head = (
        f"# Business Model Canvas: {_ARTICLE.sub('', named)}\n\n"
        f"A first draft for {named}. Test each line with real customers."
    )
    return "\n\n".join([head, *sections])


def key_words(text: str, most: int = 6) -> tuple[str, ...]:
    """The first `most` different words of `text` that carry meaning."""
    found: dict[str, str] = {}
    for word in _WORD.findall(text):
        key = word.lower()
        if len(key) > 2 and key not in _STOP_WORDS:
            found.setdefault(key, word)
        if len(found) == most:
            break
    return tuple(found.values())


def subject(text: str) -> str:
    """What a prompt is about, with its article: 'a coffee shop in Lisbon'."""
    introduction = _INTRODUCTION.search(text)
    if introduction and (clause := _first_clause(text[introduction.end() :])):
        return clause
    clause = _first_clause(text)
    if key_words(clause) and "canvas" not in clause.lower():
        return clause
    return " ".join(key_words(text, 4)) or "a new business"


def _first_clause(text: str) -> str:
    """The first clause of `text`, without markup, cut at a word."""
    clause = _CLAUSE_END.split(text.lstrip(' \n:"“'), maxsplit=1)[0]
    clause = " ".join(re.sub(r"[^\w\s'’&,/-]", " ", clause).split())
    if len(clause) > _LONGEST:
        clause = clause[:_LONGEST].rsplit(" ", 1)[0]
    return clause.strip(" ,-/")
