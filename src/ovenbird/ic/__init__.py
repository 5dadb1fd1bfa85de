"""Interconnection: what availability zones tell each other, so that their logical routers reach one another."""
