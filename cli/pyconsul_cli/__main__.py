"""``python -m pyconsul_cli``: the same as the command ``pyconsul``."""

import sys

from pyconsul_cli.main import main

sys.exit(main())
