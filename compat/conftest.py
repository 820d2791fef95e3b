"""Makes the folders here importable by name: each is a small program of its own, not part of the package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
