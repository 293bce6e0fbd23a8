"""The pytest plugin: what it costs, what a failing test is told, and how it comes with the package (issue 7, 2)."""

import tomllib
from pathlib import Path

import pytest

import rtcore_adapters

PLUGIN = "rtcore_adapters.pytest_plugin"


def test_the_fixture_is_there_and_a_failing_test_prints_the_story(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest


        def talk(server):
            server.user_says("What is the capital of France?")
            server.answers("Paris is the capital of France.")
            with server.core() as core:
                core.until_over()


        def test_passes(realtime_server):
            talk(realtime_server)
            assert realtime_server.heard == ["Paris is the capital of France."]


        def test_fails(realtime_server):
            talk(realtime_server)
            assert realtime_server.heard == ["Rome."]


        def test_forgets(realtime_server):
            realtime_server.answers("Nobody asks me.")


        def test_may_forget(realtime_server):
            realtime_server.strict = False
            realtime_server.answers("Nobody asks me.")


        def test_fails_first(realtime_server):
            realtime_server.answers("Nobody asks me.")
            assert False


        def test_is_skipped(realtime_server):
            realtime_server.answers("Nobody asks me.")
            pytest.skip("not today")
        """
    )
    result = pytester.runpytest_inprocess("-p", PLUGIN, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, failed=2, errors=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*the script did not happen as written:",
            "*answer 1, 'Nobody asks me.', was not asked for",
            "*test_fails*",
            "*At index 0 diff: 'Paris is the capital of France.' != 'Rome.'",
            "*-- realtime server --*",
            "*user    begins to say 'What is the capital of France?'",
            "*server  begins to say 'Paris is the capital of France.'*",
            "heard:        'Paris is the capital of France.'",
            "remembers:    'user: What is the capital of France?'",
        ]
    )


def test_tests_without_the_fixture_import_nothing_of_it(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(rtcore_adapters.__file__).parent.parent))
    pytester.makepyfile(
        """
        import sys


        def test_nothing_was_imported():
            heavy = {"rtcore", "msgspec", "pydantic", "websockets", "trio"}
            assert heavy.isdisjoint(name.split(".")[0] for name in sys.modules)
            assert "rtcore_adapters.pytest_plugin" in sys.modules
        """
    )
    # Others that are installed may import what they like.
    alone = ["-p", "no:anyio", "-p", "no:hypothesispytest", "-p", "no:xdist"]
    result = pytester.runpytest_subprocess("-p", PLUGIN, *alone)
    result.assert_outcomes(passed=1)


def test_it_comes_with_the_package_under_the_name_of_its_module() -> None:
    """So that ``-p`` and the entry point are one plugin, and not two of which the second fails."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}
    assert not [each for each in project["dependencies"] if each.startswith("pytest")]
