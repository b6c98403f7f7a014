"""Flags in the database, made as everything makes them: by the services."""

from typing import Any

from flags import services
from flags.actor import FlagActor
from flags.config import load_flags
from flags.engine.answer import Evaluation
from flags.engine.evaluation import FlagSet, evaluate, flag_set
from flags.models import Flag
from tests.fixtures_billing import unique
from valuecanvas.core.db import epoch

ADA, BOB = FlagActor("ada", trusted=True), FlagActor("bob", trusted=True)


def make_flag(name: str = "", **fields: Any) -> Flag:
    return services.create_flag({"name": name or unique("flag"), **fields}, actor=ADA)


def make_colours(name: str = "", **weights: int) -> Flag:
    """A text flag whose variants have these weights; the values are the names."""
    variants = [{"name": n, "value": n, "weight": w} for n, w in weights.items()]
    return make_flag(name, kind="string", variants=variants)


def current() -> FlagSet:
    """The flags as a process that loads now has them."""
    return flag_set(epoch.current(), load_flags())


def ask(flag: Flag, default: Any = None, **context: object) -> Evaluation:
    """What a caller with these attributes gets now."""
    return evaluate(current(), flag.name, context, default)
