"""Jobs: calls that are made later, once each."""
