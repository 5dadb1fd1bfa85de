"""An end in time, whatever the interpreter still has to do."""

import subprocess
import sys

PROGRAM = """
import os, signal, time
from ovenbird.daemon import shutdown

class Slow:
    def __del__(self):
        time.sleep(60)

kept = Slow()
order = shutdown.Ending(lambda: None)
order.watch()
os.kill(os.getpid(), signal.SIGTERM)
assert order.asked
raise SystemExit(shutdown.leave(7))
"""


def test_a_slow_end_of_the_interpreter_changes_no_exit_status():
    assert subprocess.run([sys.executable, "-c", PROGRAM], check=False, timeout=50).returncode == 7
