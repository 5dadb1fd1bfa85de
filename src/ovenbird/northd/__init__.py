"""Northbound → Southbound: what logical networks mean, as logical flows and bindings. ``northd.build`` makes it run."""
