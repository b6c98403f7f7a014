"""The sender of all outgoing webhooks, after the specification "Standard Webhooks"."""
