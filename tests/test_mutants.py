"""The planted bugs fit the core as it is, and the runner tells what an invariant catches from what nothing does."""

import re
from pathlib import Path

import pytest
from mutants.__main__ import main
from mutants.behaviours import Claim, read_notes, read_tests
from mutants.hunt import Found, Report, hunt, table
from mutants.planted import Bug, FormatError, read_all, read_bugs
from mutants.tree import ROOT, AnchorError, check, patched, planted, snapshot
from samples import later

BUGS = {bug.name: bug for bug in read_all()}
HARMLESS = Bug(
    "harmless",
    "_verdicts.py",
    "a comment",
    ("B01",),
    "Nothing is wrong.",
    ("    audio = item.audio_parts", "    if not audio:"),
    ("    audio = item.audio_parts  # planted", "    if not audio:"),
)
WRITTEN = """# A title.

[both-cancel]
file: _interruption.py
kind: second cancel
ids: B07 F051
story: An error on every barge-in.
 one
-two
+three
"""


@pytest.mark.parametrize("name", BUGS)
def test_every_bug_fits_the_core_exactly_once_and_is_valid_python(name: str) -> None:
    check(BUGS[name])


def test_there_are_enough_bugs_in_every_owner_of_a_decision() -> None:
    assert len(BUGS) >= 60
    files = {bug.file for bug in BUGS.values()}
    owners = "responses speech interruption creation tools turns lifecycle playout items verdicts requests history microphone"
    assert {f"_{owner}.py" for owner in [*owners.split(), "formats", "pacing", "session"]} <= files
    assert any(file.startswith("dialects/") for file in files)
    assert all(bug.story.endswith(".") for bug in BUGS.values())
    changes = [(bug.file, bug.old, bug.new) for bug in BUGS.values()]
    assert len(set(changes)) == len(changes)


def test_a_bug_is_read_from_its_paragraph() -> None:
    (bug,) = read_bugs(WRITTEN)
    assert bug == Bug(
        "both-cancel",
        "_interruption.py",
        "second cancel",
        ("B07", "F051"),
        "An error on every barge-in.",
        ("one", "two"),
        ("one", "three"),
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[both-cancel]", "both-cancel"),
        ("kind: second cancel\n", ""),
        ("ids: B07 F051", "ids: B07 later"),
        ("+three\n", ""),
        ("+three\n", "+three\n+four\n"),
        ("-two\n+three\n", "+three\n-two\n"),
    ],
)
def test_what_is_not_written_as_a_bug_is_refused(old: str, new: str) -> None:
    with pytest.raises(FormatError):
        list(read_bugs(WRITTEN.replace(old, new)))


def test_a_bug_that_fits_nowhere_twice_or_breaks_the_syntax_is_told() -> None:
    (bug,) = read_bugs(WRITTEN)
    assert patched(bug, "zero\none\ntwo\n") == "zero\none\nthree\n"
    with pytest.raises(AnchorError, match="0 times"):
        patched(bug, "one\nthree\ntwo\n")
    with pytest.raises(AnchorError, match="2 times"):
        patched(bug, "one\ntwo\none\ntwo\n")
    with pytest.raises(AnchorError, match="not valid Python"):
        patched(bug._replace(new=("one", "two)")), "one\ntwo\n")
    with pytest.raises(AnchorError, match="no file of the core"):
        check(bug._replace(file="sim/world.py"))


def test_the_copy_differs_in_one_line_and_the_sources_do_not() -> None:
    bug = BUGS["one-millisecond-more"]
    before = (ROOT / "src" / "rtcore" / bug.file).read_text(encoding="utf-8")
    with snapshot() as state, planted(state, bug) as folder:
        copied = (folder / "src" / "rtcore" / bug.file).read_text(encoding="utf-8")
    pairs = list(zip(before.splitlines(), copied.splitlines(), strict=True))
    assert sum(one != other for one, other in pairs) == 1
    assert (ROOT / "src" / "rtcore" / bug.file).read_text(encoding="utf-8") == before


@later
def test_two_bugs_are_found_and_a_harmless_change_is_not() -> None:
    report = hunt([BUGS["one-millisecond-more"], BUGS["both-cancel"], HARMLESS], jobs=2, limit=6)
    first, second, harmless = report.found
    assert (first.outcome, first.invariant in (4, 5)) == ("found", True)  # too much, or an edit where none was owed
    assert (second.outcome, second.invariant) == ("found", 9)
    assert (harmless.outcome, harmless.worlds, harmless.counts) == ("not found", 6, False)
    assert report.broken == {}
    assert table(report)[-1] == "found 2 of 3"


@later
def test_what_a_demo_would_show_and_what_only_raises_do_not_count() -> None:
    raises = HARMLESS._replace(new=("    audio = item.audio_parts", "    if not audio[99]:"))
    append = "        playout.append(segment, event.delta, core.now, core.sound)"
    demo = HARMLESS._replace(file="_responses.py", old=(append,), new=(append.replace("delta", "delta[2:]"),))
    report = hunt([raises._replace(name="raises"), demo], jobs=2, limit=3)
    assert [one.outcome for one in report.found] == ["exception", "plain fails"]
    assert table(report)[-1] == "found 0 of 2"


def test_the_table_tells_why_a_bug_does_not_count() -> None:
    found = (Found("one", "found", 3, 2, 4, "truncate too long\nmore"), Found("other", "not found", 400))
    assert table(Report(found, {7: "invariant 5: left"})) == [
        "bug    worlds  invariant  what was said",
        "one         3          4  truncate too long",
        "other     400          -  NOT FOUND",
        "the core as it is does not pass world 7: invariant 5: left",
        "found 1 of 2",
    ]


def test_a_test_tells_its_behaviours_by_name_docstring_and_comment(tmp_path: Path) -> None:
    source = '''
def test_b07_one_cancel() -> None:
    assert True


def test_two() -> None:  # B01, C08
    """S03 as well, F031 and invariant 4 are no behaviours."""


def helper() -> None:  # C30
    pass


class TestMore:
    # B99 stands outside
    def test_three(self) -> None:
        # C11: twice
        assert True


def test_four() -> None:
    assert True
'''
    (tmp_path / "test_core_x.py").write_text(source, encoding="utf-8")
    (tmp_path / "test_asyncio.py").write_text("def test_five() -> None:  # B01 C12\n    pass\n", encoding="utf-8")
    (tmp_path / "test_link.py").write_text("def test_six() -> None:  # B01\n    pass\n", encoding="utf-8")
    (tmp_path / "test_sim_world.py").write_text("def test_seven() -> None:  # B02\n    pass\n", encoding="utf-8")
    assert set(read_tests(tmp_path)) == {
        Claim("test_core_x.py", "test_two", frozenset({"B01", "C08", "S03"})),
        Claim("test_core_x.py", "TestMore::test_three", frozenset({"C11"})),
        Claim("test_asyncio.py", "test_five", frozenset({"B01", "C12"})),
    }


def test_the_command_line_checks_lists_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--anchors"]) == 0
    assert capsys.readouterr().out == f"all {len(BUGS)} bugs fit the core's text\n"
    assert main(["--list", "--only", "both-cancel"]) == 0
    assert capsys.readouterr().out.startswith("both-cancel  (_interruption.py; second cancel; B07 F051)\n")
    with pytest.raises(SystemExit):
        main(["--only", "no-such-bug"])
    assert "no such bug: no-such-bug" in capsys.readouterr().err
    for words in (["--limit", "0"], ["--jobs", "0"], ["--limit", "many"], ["--first", "-1"]):
        with pytest.raises(SystemExit):
            main(words)
        assert f"argument {words[0]}: '{words[1]}' is not a whole number of at least " in capsys.readouterr().err


def test_a_test_that_never_ends_counts_as_failed() -> None:
    notes = """begins tests/test_a.py::test_one[x]
failed tests/test_a.py::test_one[x]
ends tests/test_a.py::test_one[x]
begins tests/test_a.py::TestMore::test_two
ends tests/test_a.py::TestMore::test_two
failed tests/test_b.py
begins tests/test_a.py::test_three[a::b]
"""
    assert read_notes(notes) == {("test_a.py", "test_one"), ("test_b.py", ""), ("test_a.py", "test_three")}


def test_the_reports_that_the_documentation_names_have_a_planted_bug() -> None:
    text = (ROOT / "docs/fuzzing.md").read_text(encoding="utf-8")
    table = text.partition("### Which reported failures stand behind the bugs")[2].partition("One class has none")[0]
    named = set(re.findall(r"F\d{3}", table))
    assert len(named) > 60
    assert named <= {name for bug in BUGS.values() for name in bug.ids}
