"""Counters and stopwatches by which a process can be monitored; independent of networks."""
