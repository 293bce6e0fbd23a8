"""What all tests share: Hypothesis looks at the same examples every time, and at no clock; and garbage is looked for in what a
test has made, not in what was imported before."""

import gc
import signal

from hypothesis import settings

# The second comes with the package where that is installed; a clone need not be.
pytest_plugins = ["pytester", "rtcore_adapters.pytest_plugin"]

settings.register_profile("rtcore", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("rtcore")

# A shell starts what runs behind it with Ctrl-C ignored; here it is what a terminal makes of it, for the tests' own programs too.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Modules, test items and schemas stay to the end: without them a full collection takes a tenth of its time."""
    gc.collect()
    gc.freeze()
