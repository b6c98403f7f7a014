"""Rehearsals of failures, with what is expected of the gateway."""

from llm.chaos.drills.catalogue import DRILLS
from llm.chaos.drills.drill import Drill, DrillImpossible
from llm.chaos.drills.rehearsal import prepare_drill, record_refusal, run_drill

__all__ = [
    "DRILLS",
    "Drill",
    "DrillImpossible",
    "prepare_drill",
    "record_refusal",
    "run_drill",
]
