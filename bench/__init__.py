"""Benchmarks the gateway against LiteLLM's proxy and a bare forwarder."""
