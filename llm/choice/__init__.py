"""What prompts and flags make of a request, before it is priced and admitted."""
