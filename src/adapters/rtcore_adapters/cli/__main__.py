"""``python -m rtcore_adapters.cli`` is ``rtcore``."""

import sys

from rtcore_adapters.cli import main

sys.exit(main())
