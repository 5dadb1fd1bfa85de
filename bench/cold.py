"""What a cold compile costs the compiler and the Southbound server themselves, in one process and nothing else in it.

    bench/cold.py [SWITCHES [PORTS]]

`northd.py` measures `ovenbird central`, where the same process also starts an API and serves Northbound. Here
Northbound's rows are loaded first and that is not counted, nor is what Northbound's own server does when the compiler
tells it of ports that are not up; everything else is, from the interpreter's start to the last of those edits. Prints
processor seconds by step, as one JSON line.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from pathlib import Path

import topology

from ovenbird.model import nb, sb
from ovenbird.northd.build import build
from ovenbird.ovsdb.journal import create, open_database


def main() -> None:
    switches, ports = ([int(a) for a in sys.argv[1:]] + [100, 100][len(sys.argv) - 1 :])[:2]
    start = time.process_time()
    with tempfile.TemporaryDirectory(prefix="ob.") as place:
        path = Path(place)
        topology.write(path / "nb.db", switches, ports)
        gc.collect()
        gc.disable()  # as the daemons do at a cold start
        northbound = open_database(path / "nb.db", nb.ROWS)
        create(path / "sb.db", sb.schema())
        southbound = open_database(path / "sb.db", sb.ROWS)
        loaded = time.process_time()
        engine = build(northbound.store, sb_store=southbound.store)
        engine.run()
        ran = time.process_time()
        commits = 0
        elsewhere = 0.0
        while True:  # until nothing is left to do
            for database in (southbound, northbound):
                change = database.transaction()
                for output in engine.outputs.values():
                    if output.table.store is database.store:
                        output.plan(change)
                if not change.empty:
                    before = time.process_time()
                    change.commit()
                    commits += 1
                    if database is northbound:
                        elsewhere += time.process_time() - before
            if engine.idle and all(output.idle for output in engine.outputs.values()):
                break
            engine.run()
        southbound.journal.sync()
        done = time.process_time()
        steps = {"start": start, "rules": ran - loaded, "rows and journal": done - ran - elsewhere}
        out = {k: round(v, 3) for k, v in steps.items()} | {"sum": round(sum(steps.values()), 3), "commits": commits}
        out["northbound_server"] = round(elsewhere, 3)
        print(json.dumps({**out, "logical_flows": len(southbound.store.table(sb.LogicalFlow).rows)}))
        southbound.journal.close()
        northbound.journal.close()


if __name__ == "__main__":
    main()
