"""What northd's features are written in: switch and router ports, addresses, flows, and the Southbound rows they fill.

Nothing here decides what a network does; that is for ``switch``, ``router`` and ``shared``.
"""
