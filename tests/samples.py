"""What ``make test`` has no time to run whole: it takes a sample of it, and ``make soak`` all, with ``RTCORE_SOAK`` set."""

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

Case = TypeVar("Case")
WHOLE = "RTCORE_SOAK" in os.environ
later = pytest.mark.skipif(not WHOLE, reason="make soak runs it")


def sample(cases: Sequence[Case], every: int) -> list[Case]:
    """One of ``every`` cases, the last (the newest) among them; or all of them."""
    return list(cases) if WHOLE else list(cases[::-1][::every][::-1])
