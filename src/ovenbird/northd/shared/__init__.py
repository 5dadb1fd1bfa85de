"""Features that concern switches and routers alike, and what features of both sides share."""
