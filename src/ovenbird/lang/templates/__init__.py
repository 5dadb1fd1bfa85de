"""Texts that differ only in constants are compiled once: templates with slots, for matches, actions and bytes."""
