"""The tables of feature flags."""

from flags.models.event import FlagEvent
from flags.models.exposure import Exposure
from flags.models.flag import Flag, FlagKind, Purpose
from flags.models.rule import Prerequisite, Rule
from flags.models.schedule import ChangeKind, ChangeState, ScheduledChange
from flags.models.variant import Variant
