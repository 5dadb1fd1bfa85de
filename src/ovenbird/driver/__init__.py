"""Runs engines beside databases: each wave becomes transactions, and a refused row is left out by itself."""
