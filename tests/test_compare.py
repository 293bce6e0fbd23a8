"""``rtcore fuzz --compare``: policies and saved results side by side, in pairs where the seeds are the same."""

import json
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rtcore_adapters.cli import main
from rtcore_adapters.cli._sides import amount

SHORT = "interruptions=3,faults=none"


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["fuzz", *words])
    told = capsys.readouterr()
    assert told.err == ""
    return status, told.out


def test_two_policies_run_over_the_same_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--compare", f"{SHORT},network=clean", f"{SHORT},network=noisy", "--interruptions", "9", "--jobs", "1"]
    status, out = _run(capsys, *words, "--json")
    found = json.loads(out)

    assert status == 0
    assert (found["paired"], found["pairs"], found["a"]["worlds"], found["b"]["worlds"]) == (True, 3, 3, 3)
    assert found["a"]["digest"] != found["b"]["digest"]
    alone = json.loads(_run(capsys, "--policy", f"{SHORT},network=noisy", "--interruptions", "9", "--jobs", "1", "--json")[1])
    assert (alone["digest"], alone["situations"]) == (found["b"]["digest"], found["b"]["situations"])
    lines = _run(capsys, *words)[1].splitlines()
    assert lines[2] == "Compared in pairs of worlds: 3 seeds under both."
    assert sum(line.startswith("silence after barge-in, mean, ms") for line in lines) == 1


def test_a_policy_against_itself_differs_in_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_run(capsys, "--compare", SHORT, SHORT, "--interruptions", "6", "--jobs", "1", "--json")[1])

    assert {each["difference"] for each in found["figures"]} <= {0, None}
    assert not any(each["certain"] for each in found["figures"])


def test_files_are_compared_like_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    for path, policy in ((a, SHORT), (b, f"{SHORT},lead_ms=200")):
        _run(capsys, "--policy", policy, "--interruptions", "9", "--jobs", "1", "--save", str(path))
    both = json.loads(
        _run(capsys, "--compare", SHORT, f"{SHORT},lead_ms=200", "--interruptions", "9", "--jobs", "1", "--json")[1]
    )
    files = json.loads(_run(capsys, "--compare", str(a), str(b), "--json")[1])
    mixed = json.loads(_run(capsys, "--compare", str(a), f"{SHORT},lead_ms=200", "--jobs", "1", "--json")[1])

    for found in (files, mixed):
        assert [found[key] for key in ("figures", "distributions", "pairs")] == [
            both[key] for key in ("figures", "distributions", "pairs")
        ]
    assert files["a"]["name"] == f"a.json ({both['a']['name']})"


def test_other_seeds_are_no_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    for path, first in ((a, "0"), (b, "50")):
        _run(capsys, "--policy", SHORT, "--interruptions", "6", "--jobs", "1", "--seed", first, "--save", str(path))
    _, out = _run(capsys, "--compare", str(a), str(b))

    assert "Other seeds: compared as two independent samples of worlds." in out


def test_campaigns_of_different_length_are_paired_as_far_as_both_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    for path, count in ((a, "6"), (b, "12")):
        _run(capsys, "--policy", SHORT, "--interruptions", count, "--jobs", "1", "--save", str(path))
    _, out = _run(capsys, "--compare", str(a), str(b))

    assert "Compared in pairs of worlds: 2 seeds under both. Distributions are of all worlds of each." in out


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def test_the_page_shows_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.html"
    _run(capsys, "--compare", SHORT, f"{SHORT},lead_ms=200", "--interruptions", "6", "--jobs", "1", "--html", str(path))
    written = path.read_text(encoding="utf-8")
    reader = _Tags()
    reader.feed(written)

    assert "script" not in reader.tags and reader.tags.count("svg") >= 4
    assert "lead_ms=200" in written and "more than chance" in written and "$" not in written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (Fraction(0), "0"),
        (Fraction(1, 3), "0.333"),
        (Fraction(1, 70_000), "1e-05"),
        (Fraction(22, 7), "3.14"),
        (Fraction(123_456), "123,456.0"),
    ],
)
def test_figures_have_as_many_places_as_say_something(value: Fraction | None, text: str) -> None:
    assert amount(value) == text


def test_differences_have_a_sign() -> None:
    assert [amount(Fraction(each), sign=True) for each in (2, -2, 0)] == ["+2.00", "-2.00", "0"]
