"""The drills that there are."""

from llm.chaos.drills import expectations as expect
from llm.chaos.drills.drill import Drill
from llm.models.chaos import FaultKind

_LEDGER = (expect.BILLED_ONCE, expect.QUOTA_KEPT)
_OTHERS_ANSWER = (
    expect.INJECTED,
    expect.FALLBACK_ANSWERS,
    expect.BREAKER_OPENS,
    expect.RECOVERS,
    *_LEDGER,
)
_WITHOUT_REDIS = (
    expect.INJECTED,
    expect.ALL_ANSWERED,
    expect.REDIS_BYPASSED,
    expect.NOT_SLOWER,
    *_LEDGER,
)
_SEND = "Send small requests as the customer 'chaos-drill', one after the other."
_END = "End the fault, and send requests until all is as before."

_ALL = (
    Drill(
        name="primary-down",
        title="Primary provider down",
        description="The first provider of a model answers 503 to the drill's requests.",
        fault=FaultKind.ERROR,
        meets="primary",
        needs_routes=2,
        steps=("Have the first provider answer 503 to the drill.", _SEND, _END),
        expectations=_OTHERS_ANSWER,
    ),
    Drill(
        name="slow-provider",
        title="Slow provider",
        description="The first provider of a model sends the drill no token in time.",
        fault=FaultKind.LATENCY,
        meets="primary",
        needs_routes=2,
        at_once=6,
        requests=18,
        stream=True,
        steps=(
            "Have the first provider wait longer than the model's time for a first token.",
            "Send three groups of six streams as the customer 'chaos-drill'.",
            _END,
        ),
        expectations=_OTHERS_ANSWER,
    ),
    Drill(
        name="both-providers-down",
        title="Both providers down",
        description="Every provider of a model answers 503 to the drill's requests.",
        fault=FaultKind.ERROR,
        meets="all",
        steps=("Have all providers answer 503 to the drill.", _SEND, _END),
        expectations=(
            expect.INJECTED,
            expect.ALL_REFUSED,
            expect.REFUSED_FAST,
            expect.RECOVERS,
            *_LEDGER,
        ),
    ),
    Drill(
        name="redis-down",
        title="Redis down",
        description="No gateway process reaches Redis. It meets all callers.",
        fault=FaultKind.STORE_DOWN,
        steps=("Have every round trip to Redis fail.", _SEND, _END),
        expectations=_WITHOUT_REDIS,
    ),
    Drill(
        name="redis-slow",
        title="Redis slow",
        description="Redis answers later than REDIS_TIMEOUT_MS. It meets all callers.",
        fault=FaultKind.STORE_SLOW,
        steps=("Delay every round trip to Redis.", _SEND, _END),
        expectations=_WITHOUT_REDIS,
    ),
    Drill(
        name="database-restart",
        title="Database restart",
        description="All sessions of the product at PostgreSQL end at once, as in a "
        "restart. It meets all callers; pages that are being loaded may fail.",
        fault=FaultKind.DATABASE_RESTART,
        requests=40,
        stream=True,
        max_tokens=64,
        steps=(
            "Begin streams as the customer 'chaos-drill', five a second.",
            "End all other sessions of the product's role.",
            "Send requests until they are answered, and reconcile the ledger.",
        ),
        expectations=(
            expect.INJECTED,
            expect.ANSWERED_OR_REFUSED,
            expect.ANSWERS_AGAIN,
            expect.NO_DRIFT,
            *_LEDGER,
        ),
    ),
    Drill(
        name="worker-killed",
        title="Worker killed",
        description="One worker of jobs ends at once, as after kill -9.",
        fault=FaultKind.WORKER_EXIT,
        needs_workers=2,
        requests=20,
        max_tokens=64,
        steps=(
            "Queue jobs of the customer 'chaos-drill'.",
            "End one of the workers while they run.",
            "Wait until the jobs have ended.",
        ),
        expectations=(
            expect.INJECTED,
            expect.JOBS_LOST,
            expect.JOBS_DONE,
            expect.JOBS_BILLED,
            expect.NO_DRIFT,
        ),
    ),
)

DRILLS: dict[str, Drill] = {one.name: one for one in _ALL}
