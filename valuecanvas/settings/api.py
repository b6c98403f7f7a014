"""Django REST framework and the OpenAPI schema."""

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "valuecanvas.http.api_auth.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["valuecanvas.core.api.throttle.MinuteThrottle"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["valuecanvas.core.api.bodies.JsonParser"],
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "valuecanvas.core.api.errors.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ValueCanvas",
    "DESCRIPTION": "A gateway for a company's LLM traffic, with any OpenAI SDK.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "TAGS": [
        {
            "name": "OpenAI-compatible",
            "description": "As OpenAI has them: any OpenAI SDK with the base URL "
            "`https://HOST/v1` and a key of this gateway.",
        },
        {"name": "Gateway", "description": "Completions, ratings, requests, health."},
        {"name": "Jobs", "description": "Requests that are answered later."},
        {"name": "Prompts", "description": "Prompts, versions, labels and rollouts."},
        {"name": "Experiments", "description": "Experiments and their results."},
        {"name": "Chaos", "description": "Runs of experiments and drills, to read."},
        {"name": "Flags", "description": "Feature flags; evaluation by OFREP."},
        {"name": "Usage", "description": "What was used and spent."},
        {"name": "Customers", "description": "Customers and their limits."},
    ],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "valuecanvas.http.openapi.document_rules.complete_document",
    ],
    # Fields of one name with different choices, in different components.
    "ENUM_NAME_OVERRIDES": {
        "BatchStateEnum": "llm.models.BatchState.choices",
        "ChaosRunStateEnum": "llm.models.chaos.RunState.choices",
        "ExperimentStateEnum": ["draft", "running", "stopped"],
        "FlagChangeKindEnum": "flags.models.schedule.change_kinds",
        "FlagKindEnum": "flags.models.flag.FlagKind.choices",
        "FlagPurposeEnum": "flags.models.flag.Purpose.choices",
        "JobStateEnum": "llm.models.JobState.choices",
        "PromptKindEnum": "prompts.models.prompt.PromptKind.choices",
        "RolloutStateEnum": "prompts.models.rollout.RolloutState.choices",
    },
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key (vc-...) or a bearer token of your users.",
            }
        }
    },
    "SECURITY": [{"key": []}],
}

# What callers send and get, by lower-case names: browsers of CORS_ALLOWED_ORIGINS may send and
# read these, and docs/reference/HEADERS.md lists them.
REQUEST_HEADERS = {
    "authorization": "`Bearer` and an API key or a token.",
    "x-api-key": "An API key, in place of `Authorization`.",
    "content-type": "`application/json`; files and lines have types of their own.",
    "cache-control": "`no-store`, `no-cache` or `max-age=SECONDS`, for the response cache.",
    "idempotency-key": "A text of your own: sent again with the same body, the request is carried out once.",
    "if-none-match": "The `ETag` of what you have: 304 if it is still so.",
    "traceparent": "Your trace, which the gateway's spans become a part of (W3C Trace Context).",
    "x-valuecanvas-cache-ttl": "How long the answer may be stored, in seconds.",
    "x-valuecanvas-context": "What flags and experiments may know of your user: a JSON object.",
    "x-valuecanvas-tags": "Names that budgets and reports go by, with commas.",
    "x-valuecanvas-user": "The user whom the request is for, and who is billed: needs the scope `act_as`.",
}
RESPONSE_HEADERS = {
    "x-request-id": "The id of this request.",
    "retry-after": "Seconds to wait before the request is sent again.",
    "x-should-retry": "`false`: sending it again will not help. OpenAI's SDKs go by it.",
    "etag": "The version of what was answered, for `If-None-Match`.",
    "age": "How old a stored answer is, in seconds.",
    "idempotent-replayed": "`true`: the answer that the same `Idempotency-Key` got before.",
    "ratelimit": 'What is left of the day and of the minute, as in `"daily";r=9;t=3600`.',
    "ratelimit-policy": 'The limits of the day and of the minute, as in `"daily";q=10;w=86400`.',
    "x-ratelimit-limit-requests": "Requests that the day has; of a minute limit, that the minute has.",
    "x-ratelimit-remaining-requests": "Requests that are left.",
    "x-ratelimit-reset-requests": "When they are whole again, as in `6m0s`.",
    "x-ratelimit-limit-tokens": "Tokens that the minute has, where they are limited.",
    "x-ratelimit-remaining-tokens": "Tokens that are left.",
    "x-ratelimit-reset-tokens": "When they are whole again, as in `6m0s`.",
    "x-valuecanvas-provider": "Who answered.",
    "x-valuecanvas-cost-usd": "What the caller pays, in US dollars.",
    "x-valuecanvas-epoch": "The number of the configuration that the request was served by.",
    "x-valuecanvas-trace-id": "The id of its trace, where traces are on.",
    "x-valuecanvas-cache": "`hit`, `miss`, `bypass` (not looked up) or `coalesced` (shared an identical request under way).",
    "x-valuecanvas-max-tokens": "What a cap of output that was too high was lowered to.",
    "x-valuecanvas-prompt": "The key of the prompt that made the request.",
    "x-valuecanvas-prompt-version": "The number of its version.",
    "x-valuecanvas-variant": "The experiment and its arm that chose the version.",
    "x-valuecanvas-original-request-id": "The id of the request whose answer this is: of a job, or of a replay.",
}
# The hot path also allows prefixes (valuecanvas/http/cors.py).
CORS_ALLOW_HEADERS = (
    *REQUEST_HEADERS,
    "openai-organization",
    "openai-project",
    "openai-beta",
    # Sent by OpenAI's SDKs.
    *(
        f"x-stainless-{name}"
        for name in (
            "arch",
            "async",
            "custom-poll-interval",
            "helper-method",
            "lang",
            "os",
            "package-version",
            "poll-helper",
            "raw-response",
            "read-timeout",
            "retry-count",
            "runtime",
            "runtime-version",
            "stream-helper",
            "timeout",
        )
    ),
)
CORS_EXPOSE_HEADERS = tuple(RESPONSE_HEADERS)
