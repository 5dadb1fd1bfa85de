"""Runs engines on databases: a wave's results are written in transactions, and a refused row is withheld alone."""
