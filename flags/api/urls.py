"""URLs of the REST endpoints of flags, under /api/."""

from flags.api import evaluate, flags, schedules, verbs
from valuecanvas.core.api.routes import endpoint

urlpatterns = [
    *endpoint("flags", flags.FlagList),
    *endpoint("flags/<str:key>", flags.FlagDetail),
    *endpoint("flags/<str:key>/history", flags.FlagHistory),
    *endpoint("flags/<str:key>/evaluate", evaluate.Explain),
    *endpoint("flags/<str:key>/enable", verbs.Enable),
    *endpoint("flags/<str:key>/disable", verbs.Disable),
    *endpoint("flags/<str:key>/kill", verbs.Kill),
    *endpoint("flags/<str:key>/revive", verbs.Revive),
    *endpoint("flags/<str:key>/archive", verbs.Archive),
    *endpoint("flags/<str:key>/restore", verbs.RestoreFlag),
    *endpoint("flags/<str:key>/revert", verbs.Revert),
    *endpoint("flags/<str:key>/schedule", schedules.Changes),
    *endpoint("flags/<str:key>/schedule/<int:number>", schedules.ChangeDetail),
    *endpoint("flags/<str:key>/ramp", schedules.Ramp),
]
