"""Packets that a chassis originates: gratuitous ARP, router advertisements, BFD, prefix delegation."""
