"""Lets the tests import plans.py, which stands beside them, in pytest's importlib mode."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
