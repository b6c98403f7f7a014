"""A self-hosted control room and gateway for a company's LLM traffic."""
