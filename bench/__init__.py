"""Measures the gateway beside LiteLLM's proxy and a bare forwarder."""
