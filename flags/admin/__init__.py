"""Admin pages of flags, and of waffle's switches and samples."""

from flags.admin import event, flag, waffle
