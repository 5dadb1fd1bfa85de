"""Logical flows → OpenFlow."""
