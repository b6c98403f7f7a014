"""The endpoint that explains an evaluation."""

from typing import Any

from django.apps import apps

from flags.api import shapes
from flags.api.access import READ, FlagEndpoint, flag_operation
from flags.engine.answer import Evaluation
from flags.engine.evaluation import evaluate


class Explain(FlagEndpoint):
    """Evaluates a flag as OFREP does, with the rule, the buckets and the reason in words.

    For people: clients of an application ask /ofrep/v1/evaluate/flags.
    """

    @flag_operation(
        "explainFlag",
        "Evaluate a flag, and say why",
        READ,
        body=shapes.GivenContext,
        answer=shapes.ShownEvaluation,
    )
    def post(self, asked: dict[str, Any]) -> Evaluation:
        flags = apps.get_app_config("flags").store.current()  # type: ignore[attr-defined]
        return evaluate(flags, self.flag.name, asked.get("context", {}))
