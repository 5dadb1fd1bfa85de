"""What tests share: worlds, the original programs, clients, and how to wait; found as `support` from every test."""

from pathlib import Path

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parents[1]
"""The repository."""
