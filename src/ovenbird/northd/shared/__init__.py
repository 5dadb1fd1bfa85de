"""Features of both switches and routers, and helpers that features of both kinds use."""
