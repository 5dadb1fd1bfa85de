"""The incremental engine: rules and views over tracked rows yield facts, which result in the smallest transaction.

It is independent of networks. ``rows`` and ``indexes`` hold data and record who reads it; ``views`` and ``rules`` are
the pure functions that read; ``facts`` are what rules yield; ``engine`` runs waves; ``outputs`` turns changed facts
into row edits; ``ids`` allocates stable numbers.
"""
