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
    # "" is one of the choices of a field that may be empty.
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
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
