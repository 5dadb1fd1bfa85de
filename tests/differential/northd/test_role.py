"""The role of controllers is the original's, row for row."""

from __future__ import annotations

NEWER = {"FDB": {"timestamp"}}
"""Columns by table that controllers of newer releases write, and Debian's northd does not let them."""


def role(client):
    """Return what each role may do in each table."""
    rows = {row["_uuid"][1]: row for row in client.select("RBAC_Permission", "_uuid", "table", "authorization",
                                                          "insert_delete", "update")}  # fmt: skip
    answer = {}
    for row in client.select("RBAC_Role", "name", "permissions"):
        for table, uuid in row["permissions"][1]:
            found = rows.pop(uuid[1])
            lists = [sorted(v[1] if isinstance(v, list) else [v]) for v in (found["authorization"], found["update"])]
            answer[row["name"], table] = (found["table"], found["insert_delete"], *lists)
    assert not rows
    return answer


def test_the_role_of_controllers(oracle):
    oracle.sync()
    oracle.compile()
    ours = role(oracle.ours)
    for (name, table), (*rest, update) in ours.items():
        ours[name, table] = (*rest, sorted(set(update) - NEWER.get(table, set())))
    assert ours == role(oracle.theirs)
    changed = 1 + len(NEWER)
    assert oracle.compile(oracle.theirs)[1] == changed, "of the original's, what names its northd and what is newer"
