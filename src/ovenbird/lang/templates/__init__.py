"""Templates with slots, for matches, actions and bytes: texts that differ only in constants are compiled once."""
