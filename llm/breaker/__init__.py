"""Circuit breakers: one for each provider and upstream model, shared by all processes."""
