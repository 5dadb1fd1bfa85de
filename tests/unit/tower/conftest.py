"""The words of each level's own tests."""

import sys
from pathlib import Path

for level in ("cloud", "northd", "controller"):
    sys.path.insert(0, str(Path(__file__).parents[1] / level))
sys.path.insert(0, str(Path(__file__).parents[2] / "differential" / "northd"))
