"""Admin pages of prompts. Experiments are in llm/admin: they need the ledger."""

from prompts.admin import event, prompt, protected_label
