"""The incremental engine: tracked rows in, rules and views over them, facts out, the smallest transaction.

It knows nothing of networks. ``rows`` and ``indexes`` hold data and note who reads it; ``views`` and ``rules`` are
the pure functions that read; ``facts`` are what rules yield; ``engine`` runs waves; ``outputs`` turns changed facts
into row edits; ``ids`` gives out stable numbers; ``provenance`` answers why a fact exists.
"""
