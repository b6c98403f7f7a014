"""How well the gateway serves: its figures over a span of time, against targets."""
