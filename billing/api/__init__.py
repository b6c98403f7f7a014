"""REST endpoints of customers, under /api/."""
