"""Changes of flags: each is one transaction with one event in the audit.

They return the flag as it is now. With `expected` (the revision that the caller saw) they
raise `valuecanvas.core.errors.Conflict` if somebody else changed the flag first. Invalid
changes raise ValidationError by field.
"""

from flags.services.history import revert
from flags.services.lifecycle import (
    archive,
    create_flag,
    delete_flag,
    edit_flag,
    import_flag,
    restore,
)
from flags.services.rollout import (
    disable,
    enable,
    kill,
    revive,
    set_percent,
    set_variants,
    set_weights,
)
from flags.services.rules import (
    add_rule,
    edit_rule,
    remove_rule,
    reorder_rules,
    set_prerequisites,
)
from flags.services.schedule import apply_due, cancel, cancel_ramp, ramp, schedule
