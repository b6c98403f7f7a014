"""Settings of the gateway."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from valuecanvas import env
from valuecanvas.settings.base import PRODUCTION, VAR_DIR, WEB_SCHEMES

HOST = env.text("HOST", "Address that `make run` listens on.", "127.0.0.1")
PORT = env.integer("PORT", "Web port of `make run`.", 8000, low=1, high=65535)
UPGRADE_URL = env.url(
    "UPGRADE_URL",
    "Where a caller out of quota can upgrade; sent with the 429.",
    "https://example.com/upgrade",
    schemes=WEB_SCHEMES,
)

TOGETHER_API_KEY = env.text("TOGETHER_API_KEY", "Key of Together.ai, the primary.")
TOGETHER_BASE_URL = env.url(
    "TOGETHER_BASE_URL",
    "Endpoint of Together.ai.",
    "https://api.together.xyz/v1",
    schemes=("https", "http"),
)
OPENAI_API_KEY = env.text("OPENAI_API_KEY", "Key of OpenAI, the fallback.")
OPENAI_BASE_URL = env.url(
    "OPENAI_BASE_URL",
    "Endpoint of OpenAI.",
    "https://api.openai.com/v1",
    schemes=("https", "http"),
)
LOCAL_MODEL = env.choice(
    "LOCAL_MODEL",
    "The small model on this machine: auto runs it where no provider has a key.",
    "auto",
    ("auto", "on", "off"),
)
LOCAL_MODEL_URL = env.url(
    "LOCAL_MODEL_URL",
    "Endpoint of the local model; `make run` sets it.",
    schemes=("http",),
)
DEMO_PROVIDER_URL = env.url(
    "DEMO_PROVIDER_URL",
    "Endpoint of the demo provider; `make run` sets it.",
    schemes=("http",),
)

DEFAULT_TIER = env.text("DEFAULT_TIER", "Tier of customers first seen.", "free")
LLM_MAX_BODY_BYTES = env.integer(
    "LLM_MAX_BODY_BYTES",
    "Largest request body, in bytes.",
    20_971_520,
    low=1024,
    high=67_108_864,
)
LLM_MAX_IN_FLIGHT_BYTES = env.integer(
    "LLM_MAX_IN_FLIGHT_BYTES",
    "Most bytes of bodies under way in one process, 64 KiB of each apart; more: 503.",
    134_217_728,
    low=65_536,
    high=17_179_869_184,
)
if LLM_MAX_IN_FLIGHT_BYTES < LLM_MAX_BODY_BYTES:
    raise ImproperlyConfigured(
        "LLM_MAX_IN_FLIGHT_BYTES must be at least LLM_MAX_BODY_BYTES."
    )
LLM_MAX_REPLY_BYTES = env.integer(
    "LLM_MAX_REPLY_BYTES",
    "Largest reply taken from a provider, in bytes.",
    33_554_432,
    low=65_536,
    high=268_435_456,
)
LLM_MAX_IN_FLIGHT = env.integer(
    "LLM_MAX_IN_FLIGHT",
    "Most requests and streams under way in one process; more are answered 503.",
    1000,
    low=1,
    high=65_535,
)
LLM_MAX_N = env.integer("LLM_MAX_N", "Most choices (`n`) a request may ask for.", 4, low=1, high=128)  # fmt: skip
API_REQUESTS_PER_MINUTE = env.integer("API_REQUESTS_PER_MINUTE", "Requests a minute of one key or person to the management API; 0: any number.", 300)  # fmt: skip
FEEDBACK_PER_MINUTE = env.integer("FEEDBACK_PER_MINUTE", "Ratings a minute by one key or user; 0: any number.", 600)  # fmt: skip
LOOKUPS_PER_MINUTE = env.integer("LOOKUPS_PER_MINUTE", "Look-ups of requests (/v1/requests) a minute by one key or user; 0: any number.", 600)  # fmt: skip
AUTH_FAILURES_PER_MINUTE = env.integer("AUTH_FAILURES_PER_MINUTE", "Different wrong API keys a minute from one address, or uses of one; 0: any number.", 60)  # fmt: skip
KEYS_OF_FORMER_STAFF = env.choice(
    "KEYS_OF_FORMER_STAFF",
    "Keys whose issuer lost the rights for their scopes: freeze takes those scopes away for as long, revoke ends the key, keep changes nothing.",
    "freeze",
    ("keep", "freeze", "revoke"),
)
LLM_UNPRICED = env.choice(
    "LLM_UNPRICED",
    "A model without a price: block refuses it, cap bills the stated price.",
    "block",
    ("block", "cap"),
)
LLM_UNPRICED_USD_PER_MILLION = env.number(
    "LLM_UNPRICED_USD_PER_MILLION",
    "Price of a model without one under LLM_UNPRICED=cap, USD per million tokens.",
    10.0,
    low=0.000001,
    high=10_000,
)
LLM_CACHE_ENABLED = env.flag(
    "LLM_CACHE_ENABLED",
    "Answer identical requests again from the response cache.",
    default=True,
)
LLM_IDEMPOTENCY_MAX_BYTES = env.integer(
    "LLM_IDEMPOTENCY_MAX_BYTES",
    "Largest answer kept for an Idempotency-Key, in bytes; repeats of a larger one get 409.",
    1_048_576,
    high=16_777_216,
)
LLM_CACHE_TTL_S = env.integer("LLM_CACHE_TTL_S", "How long answers are stored, in seconds.", 86_400, low=1, high=2_592_000)  # fmt: skip
FAILPOINT = env.text(
    "VALUECANVAS_FAILPOINT",
    "For fault tests: the place, `name` or `name:N`, at which a process kills itself.",
)
if FAILPOINT and PRODUCTION:
    raise ImproperlyConfigured("VALUECANVAS_FAILPOINT is for tests, not production.")
COALESCE_LEASE_S = env.number(
    "COALESCE_LEASE_S",
    "After this silence the leader of identical requests counts as dead, in seconds.",
    30.0,
    low=1,
    high=600,
)
SHUTDOWN_GRACE_S = env.number("SHUTDOWN_GRACE_S", "After SIGTERM requests are still taken this long, in seconds.", 3.0, low=0, high=60)  # fmt: skip
SHUTDOWN_STREAMS_S = env.number("SHUTDOWN_STREAMS_S", "After the grace open streams get this long to end, in seconds.", 29.0, low=0, high=3600)  # fmt: skip
JOURNAL_DIR = Path(
    env.text(
        "JOURNAL_DIR",
        "Folder for the journals of running web processes, on a local disk.",
    )
    or VAR_DIR / "journal"
)
LLM_MAX_ATTEMPTS = env.integer(
    "LLM_MAX_ATTEMPTS", "Most upstream calls for one request.", 3, low=1, high=10
)
LLM_MAX_RETRY_AFTER_S = env.integer("LLM_MAX_RETRY_AFTER_S", "Longest time that a provider may ask to be left alone, in seconds.", 60, low=1, high=3000)  # fmt: skip
# The state of a breaker is kept for an hour, so no figure is longer.
BREAKER_WINDOW_S = env.integer("BREAKER_WINDOW_S", "A provider's breaker judges the calls of the last seconds, so many.", 30, low=1, high=3000)  # fmt: skip
BREAKER_LEAST_CALLS = env.integer("BREAKER_LEAST_CALLS", "Fewest completed calls by whose share of failures a breaker opens.", 10, low=1, high=100_000)  # fmt: skip
BREAKER_FAILURE_SHARE = env.number("BREAKER_FAILURE_SHARE", "A breaker opens if more than this share of the calls failed.", 0.5, low=0, high=1)  # fmt: skip
BREAKER_FAILURES_IN_A_ROW = env.integer("BREAKER_FAILURES_IN_A_ROW", "Failures in a row that open a breaker.", 5, low=1, high=100_000)  # fmt: skip
BREAKER_OPEN_S = env.integer("BREAKER_OPEN_S", "How long a breaker stays open before a probe, in seconds.", 60, low=1, high=3000)  # fmt: skip
BREAKER_BILLING_OPEN_S = env.integer("BREAKER_BILLING_OPEN_S", "The same where the provider says that our account is used up, in seconds.", 300, low=1, high=3000)  # fmt: skip
BREAKER_JITTER = env.number("BREAKER_JITTER", "Largest share of the open time taken off by chance.", 0.1, low=0, high=0.9)  # fmt: skip
BREAKER_HEALTHY_S = env.number("BREAKER_HEALTHY_S", "A probe that streams has succeeded after this long, in seconds.", 5.0, low=0, high=600)  # fmt: skip
BREAKER_LEASE_SLACK_S = env.number("BREAKER_LEASE_SLACK_S", "A probe unheard of this long after its time limit is given up, in seconds.", 5.0, low=0, high=600)  # fmt: skip
LLM_ADMIT_TIMEOUT_S = env.number(
    "LLM_ADMIT_TIMEOUT_S",
    "Longest wait for the ledger to admit a request, in seconds.",
    # A refusal is promised within 2 s; a wait for a lock takes up to 1 s.
    1.8,
    low=0.1,
    high=60.0,
)
LLM_HEADER_TIMEOUT_S = env.number(
    "LLM_HEADER_TIMEOUT_S",
    "Longest wait for the head of a request, and for its body, in seconds.",
    10.0,
    low=0.1,
    high=120,
)
LLM_SEND_TIMEOUT_S = env.number(
    "LLM_SEND_TIMEOUT_S",
    "Longest time that a client may leave unread what it is sent, in seconds.",
    60.0,
    low=0.1,
    high=600,
)
LLM_POOL_TIMEOUT_S = env.number("LLM_POOL_TIMEOUT_S", "Wait for a free upstream connection, in seconds.", 1.0, low=0.01, high=60)  # fmt: skip
LLM_CONNECT_TIMEOUT_S = env.number("LLM_CONNECT_TIMEOUT_S", "Upstream connect and TLS, in seconds.", 3.0, low=0.01, high=60)  # fmt: skip
LLM_POOL_SIZE = env.integer("LLM_POOL_SIZE", "Connections to one provider from one process.", 1000, low=1, high=65_535)  # fmt: skip
LLM_ALLOW_HTTP_PROVIDERS = env.flag(
    "LLM_ALLOW_HTTP_PROVIDERS",
    "Let providers be at plain http:// or private addresses; production: off.",
    default=not PRODUCTION,
)
for _name, _url in {
    "TOGETHER_BASE_URL": TOGETHER_BASE_URL,
    "OPENAI_BASE_URL": OPENAI_BASE_URL,
    "LOCAL_MODEL_URL": LOCAL_MODEL_URL,
    "DEMO_PROVIDER_URL": DEMO_PROVIDER_URL,
}.items():
    if not LLM_ALLOW_HTTP_PROVIDERS and _url.lower().startswith("http:"):
        raise ImproperlyConfigured(
            f"{_name} must begin with https, or set LLM_ALLOW_HTTP_PROVIDERS=on."
        )
BATCH_MAX = env.integer("BATCH_MAX", "Most admissions and settlements in one commit.", 200, low=1, high=5000)  # fmt: skip
BATCH_MAX_BYTES = env.integer("BATCH_MAX_BYTES", "Most bytes of kept answers in one commit; a larger one goes alone.", 2_097_152, low=65_536, high=67_108_864)  # fmt: skip
BATCH_QUEUE_MAX = env.integer("BATCH_QUEUE_MAX", "Longest queue for the ledger before 503.", 5000, low=10, high=1_000_000)  # fmt: skip
BATCH_QUEUE_MAX_BYTES = env.integer("BATCH_QUEUE_MAX_BYTES", "Most bytes of kept answers that wait for the ledger; past it answers are not kept.", 268_435_456, low=1_048_576, high=17_179_869_184)  # fmt: skip
REDIS_TIMEOUT_MS = env.integer("REDIS_TIMEOUT_MS", "Longest wait for Redis on the hot path, in milliseconds.", 100, low=5, high=5000)  # fmt: skip
REDIS_SLOW_ROUNDS = env.integer("REDIS_SLOW_ROUNDS", "Slow or failed Redis calls in a row after which it is bypassed until it answers.", 5, low=1, high=1000)  # fmt: skip
PAGE_MAX_BODY_BYTES = env.integer("PAGE_MAX_BODY_BYTES", "Largest body of a page's form or a management call, in bytes.", 1_048_576, low=1024, high=67_108_864)  # fmt: skip
# Else Django's own limit would apply.
DATA_UPLOAD_MAX_MEMORY_SIZE = PAGE_MAX_BODY_BYTES
PAGE_MAX_RUNNING = env.integer("PAGE_MAX_RUNNING", "Pages and management calls worked on at once by one process, each with a database connection.", 4, low=1, high=1000)  # fmt: skip
PAGE_MAX_WAITING = env.integer("PAGE_MAX_WAITING", "Pages and management calls that wait for their turn; more are answered 503.", 100, low=1, high=10_000)  # fmt: skip
DB_PAGE_TIMEOUT_S = env.integer("DB_PAGE_TIMEOUT_S", "Longest database statement of a page or a management call, in seconds.", 15, low=1, high=600)  # fmt: skip
DB_STATEMENT_TIMEOUT_MS = env.integer("DB_STATEMENT_TIMEOUT_MS", "Longest ledger statement, in milliseconds.", 2000, low=100, high=60_000)  # fmt: skip
DB_LOCK_TIMEOUT_MS = env.integer("DB_LOCK_TIMEOUT_MS", "Longest wait for a ledger lock, in milliseconds.", 1000, low=50, high=60_000)  # fmt: skip
REFUSALS_PER_MINUTE = env.integer("REFUSALS_PER_MINUTE", "Refused requests of one caller and minute that a process keeps whole; the rest are counted.", 20, low=1, high=10_000)  # fmt: skip
REPLAYS_PER_MINUTE = env.integer("REPLAYS_PER_MINUTE", "Replays for an Idempotency-Key of one caller and minute of which a process keeps a row.", 300, low=1, high=10_000)  # fmt: skip
REFUSALS_KEEP_DAYS = env.integer("REFUSALS_KEEP_DAYS", "Days that the trace of refused and replayed requests is kept.", 7, low=1, high=400)  # fmt: skip
USAGE_RETENTION_DAYS = env.integer("USAGE_RETENTION_DAYS", "Days that bookkeeping rows (not the ledger) are kept.", 400, low=32, high=10_000)  # fmt: skip
USAGE_KEEP_MONTHS = env.integer("USAGE_KEEP_MONTHS", "Whole months of requests that stay in the database; older ones are archived. 0: all stay.", 0, low=0, high=1200)  # fmt: skip
USAGE_ARCHIVE_DIR = env.text(
    "USAGE_ARCHIVE_DIR", "Folder of the archived months of requests."
) or str(VAR_DIR / "usage-archive")
FLAGS_EXPIRED = env.choice(
    "FLAGS_EXPIRED",
    "What `check --database default` makes of feature flags past their date.",
    "warn",
    ("warn", "error"),
)
PROVIDER_SECRETS_PREFIX = env.text(
    "PROVIDER_SECRETS_PREFIX",
    "How names of secrets in AWS Secrets Manager begin that providers' keys may be read from.",
    "valuecanvas/providers/",
)
# The variables that `Provider.api_key_env` may name.
PROVIDER_KEYS = {
    "TOGETHER_API_KEY": TOGETHER_API_KEY,
    "OPENAI_API_KEY": OPENAI_API_KEY,
    **{
        name: env.text(name, "Key of a further provider, named in PROVIDER_KEY_NAMES.")
        for name in env.words(
            "PROVIDER_KEY_NAMES",
            "Further variables that hold provider keys, with commas.",
        )
    },
}
