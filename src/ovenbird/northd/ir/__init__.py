"""The types that features are written in: switch and router ports, addresses, flows, and Southbound rows.

Nothing here defines behaviour; that is the subject of ``switch``, ``router`` and ``shared``.
"""
