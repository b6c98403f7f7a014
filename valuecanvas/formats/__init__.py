"""How dates read in pages."""
