"""Packets of connections, and what a tracker says of them."""

from ovenbird.lang.microflow import Microflow


def packet(source=1, destination=2, proto=6, **more):
    return Microflow({"eth_type": 0x800, "ip_src": source, "ip_dst": destination, "nw_proto": proto, **more})


def state(tracker, made, zone="z"):
    tracker.track(zone, made)
    return made["ct_state"]
