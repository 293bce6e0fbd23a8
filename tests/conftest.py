"""What all tests share: Hypothesis looks at the same examples every time, and at no clock; and garbage is looked for in what a
test has made, not in what was imported before."""

import gc

from hypothesis import settings

settings.register_profile("rtcore", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("rtcore")


def pytest_collection_finish() -> None:
    """Modules, test items and schemas stay to the end: without them a full collection takes a tenth of its time."""
    gc.collect()
    gc.freeze()
