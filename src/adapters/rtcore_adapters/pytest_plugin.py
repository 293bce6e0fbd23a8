"""The pytest plugin: the fixture ``realtime_server``, and the story of the conversation in the report of a test that fails.

Nothing of the simulation is imported before a test asks for the fixture.
"""

from collections.abc import Generator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rtcore_adapters.testing import RealtimeServer

_SERVER: "pytest.StashKey[RealtimeServer]" = pytest.StashKey()
_FAILED: "pytest.StashKey[bool]" = pytest.StashKey()


@pytest.fixture
def realtime_server(request: pytest.FixtureRequest) -> "Iterator[RealtimeServer]":
    """A strict realtime server that follows a script (``rtcore_adapters.testing.RealtimeServer``). A test that passes although
    something of its script did not happen fails at its end."""
    server: RealtimeServer
    with import_module("rtcore_adapters.testing").RealtimeServer() as server:
        request.node.stash[_SERVER] = server
        yield server
        if server.strict and not request.node.stash.get(_FAILED, False) and (left := server.left):
            told = "\n  ".join(["the script did not happen as written:", *left])
            pytest.fail(f"{told}\n\n{server.story}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the story to the report of a test that failed."""
    report = yield
    server = item.stash.get(_SERVER, None)
    if server is not None and report.when == "call" and not report.passed:
        item.stash[_FAILED] = True
        if report.failed:
            report.sections.append(("realtime server", server.story))
    return report
