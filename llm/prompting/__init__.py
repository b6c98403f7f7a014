"""Results of prompts and experiments: metrics, feedback and verdicts."""
