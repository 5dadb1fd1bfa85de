"""Northbound → Southbound: logical networks as logical flows and bindings. ``northd.build`` makes the compiler."""
