"""Requests and answers: routing, bodies, lists, connections."""
