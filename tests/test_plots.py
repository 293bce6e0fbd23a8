"""Plots: well-formed, inside their frame, no label over another, axes with units, no text that is markup."""

from xml.etree import ElementTree

import msgspec
import pytest
from helpers.svg import SPACE, texts_apart

from rtcore.sim.results import CampaignResult, FaultResult, KindResult, Violation
from rtcore_adapters.cli._campaign import Campaign
from rtcore_adapters.cli.report._plots import Amount, Range, Series, amounts, distribution, ranges
from rtcore_adapters.cli.report.campaign import campaign_page

HOSTILE = "<script>alert('x')</script>&\"</svg>"
RANGES = [
    Range("at the boundary", 100, 0, 40.5, 99),
    Range("in an underrun", 0, 0, 0, 0),
    Range("typed text", 3, 0.2, 5000, 5000),
]
AMOUNTS = [Amount("interrupted", 300_000, 3000), Amount("late audio", 5, 100), Amount("nothing", 0, None)]


def _checked(svg: str, width: int) -> ElementTree.Element:
    """The picture, with its texts inside the frame and apart from each other."""
    root = ElementTree.fromstring(svg)
    height = texts_apart(root, width, character_px=6.1, small_px=5.6)
    for rect in root.iter(f"{SPACE}rect"):
        assert float(rect.attrib["x"]) >= 0 and float(rect.attrib["x"]) + float(rect.attrib["width"]) <= width + 1
        assert float(rect.attrib["y"]) >= 0 and float(rect.attrib["y"]) + float(rect.attrib["height"]) <= height
    return root


def _texts(root: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SPACE}text")]


@pytest.mark.parametrize("width", [960, 360])
@pytest.mark.parametrize(
    "counts", [{0: 1}, {0: 100_000, 3: 1}, {-40: 2, 7: 5, 900: 1}, {value: 1 + value % 7 for value in range(-300, 4000, 13)}]
)
def test_a_distribution_has_axes_with_units_and_every_count(width: int, counts: dict[int, int]) -> None:
    root = _checked(distribution([Series("error", counts)], title="Error", axis="ms off", width=width), width)

    texts = _texts(root)
    assert "ms off" in texts and "how many (logarithmic)" in texts
    shown = [title.text or "" for title in root.iter(f"{SPACE}title")]
    assert sum(int(text.split(": ")[-1].split(" of ")[0].replace(",", "")) for text in shown) == sum(counts.values())


@pytest.mark.parametrize("width", [960, 360])
def test_two_distributions_are_shares_with_a_legend(width: int) -> None:
    both = [Series("network=clean", {0: 900, 50_000: 100}, 1000), Series("network=noisy", {0: 3, 400_000: 1}, 1000)]
    texts = _texts(_checked(distribution(both, title="Silence", axis="ms", width=width), width))

    if width == 960:
        assert "A: network=clean (1,000)" in texts and "B: network=noisy (4)" in texts
    assert any(text.startswith("A: net") and text.endswith(" (1,000)") for text in texts)
    assert "share of all (logarithmic)" in texts and "100 %" in texts


def test_nothing_measured_says_so() -> None:
    assert _texts(_checked(distribution([Series("a", {})], title="A", axis="ms"), 960)) == ["nothing measured"]


@pytest.mark.parametrize("width", [960, 360])
def test_ranges_are_on_one_axis(width: int) -> None:
    root = _checked(ranges(RANGES, title="Silence", axis="ms of old sound", width=width), width)
    texts = _texts(root)

    assert {"at the boundary", "100", "none", "ms of old sound (logarithmic)"} <= set(texts)
    dots = [circle for circle in root.iter(f"{SPACE}circle") if circle.attrib["class"] == "pl-dot"]
    assert len(dots) == 2
    assert float(dots[0].attrib["cx"]) < float(dots[1].attrib["cx"])


@pytest.mark.parametrize("width", [960, 360])
def test_what_fell_short_of_its_minimum_is_marked(width: int) -> None:
    root = _checked(amounts(AMOUNTS, title="What came up", axis="times", width=width), width)
    groups = [group.attrib["class"] for group in root.iter(f"{SPACE}g")]

    assert groups == ["pl-a", "pl-bad", "pl-a"]
    assert len([line for line in root.iter(f"{SPACE}line") if line.attrib["class"] == "pl-least"]) == 2
    assert [title.text for title in root.iter(f"{SPACE}title")][1] == "late audio: 5, at least 100"


def test_rows_of_nothing_have_an_axis_all_the_same() -> None:
    _checked(amounts([Amount("a", 0), Amount("b", 0)], title="Left", axis="messages"), 960)
    _checked(ranges([], title="None", axis="ms"), 960)


def test_hostile_names_stay_text() -> None:
    for svg in (
        distribution([Series(HOSTILE, {1: 1})], title=HOSTILE, axis=HOSTILE),
        ranges([Range(HOSTILE, 1, 1, 1, 1)], title=HOSTILE, axis=HOSTILE),
        amounts([Amount(HOSTILE, 1, 1)], title=HOSTILE, axis=HOSTILE),
    ):
        root = ElementTree.fromstring(svg)
        assert not list(root.iter(f"{SPACE}script"))
        assert root.attrib["aria-label"] == HOSTILE


def test_the_page_of_a_campaign_shows_kinds_faults_and_what_came_up() -> None:
    measured = {"silence_us": {0: 5, 40_000: 2}, "truncation_error_ms": {0: 6}, "estimated_error_ms": {-12: 1}}
    kind = KindResult(HOSTILE, interruptions=7, answered=7, unheard_left=1)
    fault = FaultResult("network: jitter", worlds=1, interruptions=7, unheard_left=1)
    result = CampaignResult(
        worlds=1,
        kinds=(msgspec.structs.replace(kind, **measured),),
        faults=(msgspec.structs.replace(fault, **measured),),
        violations=(Violation(7, 5, 1.5, HOSTILE),),
        situations={"interrupted": 5, HOSTILE: 1},
        simulated_ms=60_000,
    )
    page = campaign_page(Campaign(7), result, [HOSTILE])

    assert HOSTILE not in page and "&lt;script&gt;" in page
    for heading in ("Silence after barge-in", "Truncation error", "Unheard words", "By fault", "What came up"):
        assert f"<h2>{heading}</h2>" in page
    assert "network: jitter" in page and "Failed: 1" in page and "$" not in page
    assert "prefers-color-scheme: dark" in page and "default-src 'none'" in page
    assert "url(" not in page and "://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "rtcore fuzz --interruptions 7 --seed 7" in page


def test_the_page_of_a_campaign_without_anything_is_a_page() -> None:
    assert "Everything held." in campaign_page(Campaign(), CampaignResult(), [])
