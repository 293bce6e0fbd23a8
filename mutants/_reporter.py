"""A pytest plugin of ``mutants.behaviours``: notes each test as it begins and as it fails, so that one that never ends is known.

A bug can make a test loop for ever. The process is ended after ``CPU_S`` seconds of its own time, whatever else the machine does.
"""

import os

try:
    import resource
except ImportError:  # not on Windows: there a loop is ended by the time-out of whoever started this
    resource = None  # type: ignore[assignment]

CPU_S = 60
"""The tests of the core take three seconds without a bug."""
_NOTES = os.environ["RTCORE_MUTANT_NOTES"]

if resource is not None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    _note("begins", nodeid)


def pytest_runtest_logreport(report: object) -> None:
    """A phase of a test is over."""
    if getattr(report, "failed", False):
        _note("failed", str(getattr(report, "nodeid", "")))


def pytest_runtest_logfinish(nodeid: str) -> None:
    """A test is over."""
    _note("ends", nodeid)


def pytest_collectreport(report: object) -> None:
    """A file could not be collected: everything in it fails."""
    if getattr(report, "failed", False):
        _note("failed", str(getattr(report, "nodeid", "")))


def _note(what: str, nodeid: str) -> None:
    with open(_NOTES, "a", encoding="utf-8") as notes:
        notes.write(f"{what} {nodeid}\n")
