"""Rehearsals of failures, with what is expected of the gateway."""

from llm.chaos.drills.drill import Drill, DrillImpossible
from llm.chaos.drills.drill_list import DRILLS
from llm.chaos.drills.drill_run import prepare_drill, run_drill

__all__ = [
    "DRILLS",
    "Drill",
    "DrillImpossible",
    "prepare_drill",
    "run_drill",
]
