import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `controller_site`
sys.path.append(str(Path(__file__).parent.parent / "northd"))  # for `other_schemas`
