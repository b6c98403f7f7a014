"""The rights that pages of prompts ask for."""

VIEW = "prompts.view_prompt"
PUBLISH = "prompts.publish_prompt"
