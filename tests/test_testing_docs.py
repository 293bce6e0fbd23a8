"""Examples that are tests, of docs/testing.md and the cookbook, are run as such; the tables of docs/testing.md are the code's."""

import inspect
import re

import pytest
from test_docs import ROOT, Block, blocks

from rtcore_adapters.testing import RealtimeServer
from rtcore_adapters.testing._faults import KNOWN

PAGE = ROOT / "docs" / "testing.md"
EXAMPLES = list(blocks("python bench"))
# How a fixture's server is opened and closed is the fixture's own affair; the clients are in a table of their own.
_ELSEWHERE = {"close", "strict"}


@pytest.mark.parametrize("block", [pytest.param(each, id=each.name) for each in EXAMPLES])
def test_an_example_passes_or_fails_as_printed(block: Block, pytester: pytest.Pytester) -> None:
    path = pytester.makepyfile(block.body)
    result = pytester.runpytest_inprocess("-p", "rtcore_adapters.pytest_plugin", "-p", "no:cacheprovider", path)
    if block.output is None:
        assert result.ret == 0
    else:
        result.assert_outcomes(failed=1)
        wanted = [f"{line.replace('[', '[[]')}*" for line in block.output.splitlines()]
        result.stdout.fnmatch_lines(wanted)


def test_there_are_examples_of_both_kinds() -> None:
    assert PAGE in {block.page for block in EXAMPLES}
    assert {block.output is None for block in EXAMPLES if block.page == PAGE} == {True, False}


def test_every_public_name_of_the_server_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    public = {name for name in vars(RealtimeServer) if not name.startswith("_")} - _ELSEWHERE
    assert {name for name in public if not re.search(rf"`(?:\w+\.)*{name}\b|\.{name}\b", text)} == set()
    for found in re.finditer(r"^\| `(?P<name>\w+)\((?P<given>[^)]*)\)` \|", text, re.MULTILINE):
        parameters = inspect.signature(getattr(RealtimeServer, found["name"])).parameters
        given = [each.strip(" *=") for each in found["given"].split(",")]
        assert given == [name for name in parameters if name != "self"], found["name"]


def test_the_faults_are_those_that_can_be_scripted() -> None:
    listed = re.search(r"^Faults that can be scripted: (.*?)\.\n\n", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert tuple(" ".join(listed[1].split()).split(", ")) == KNOWN
