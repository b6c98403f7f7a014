"""Jobs at a gateway that runs."""
