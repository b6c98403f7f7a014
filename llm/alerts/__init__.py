"""What the gateway finds for alert rules."""
