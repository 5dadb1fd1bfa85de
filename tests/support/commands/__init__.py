"""The commands that manual pages describe, and what is said of them here."""
