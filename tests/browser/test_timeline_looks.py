"""The timeline viewer in light and dark, and on a phone."""

from pathlib import Path
from typing import Any

import pytest

from rtcore.recording import Recording

CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text(encoding="utf-8")
PIXELS = """(canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0, sum = 0;
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) { count += 1; sum += data[at]; }
    return [count, sum / count];
}"""
"""How many pixels are drawn, and how light they are on average."""
SHOWN = "[...document.body.querySelectorAll('*')].filter((each) => each.checkVisibility())"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough_in_light_and_dark(scheme: Any, opened: Any, a_call: Recording) -> None:
    """WCAG 2.2 AA, measured: 4.5 for words, 3 for lines and areas."""
    it = opened(a_call, color_scheme=scheme)
    page = it.page
    page.focus("#list")
    page.keyboard.press("End")
    box = it.canvas("audible").bounding_box()
    page.mouse.move(box["x"] + it.at(3), box["y"] + 30)
    found = page.evaluate(CONTRASTS)
    assert len(found) > 60
    low = [(what, words, round(ratio, 2)) for what, words, ratio in found if ratio < (3 if what == "line" else 4.5)]
    assert low == []
    least = min(ratio for what, _, ratio in found if what != "line")
    print(f"{scheme}: {len(found)} colours, the least contrast of words is {least:.2f}")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_the_lanes_change_colours_with_the_system(opened: Any, a_call: Recording) -> None:
    it = opened(a_call, color_scheme="light")
    many, light = it.canvas("program").evaluate(PIXELS)
    it.page.emulate_media(color_scheme="dark")
    it.seen()
    assert many > 50
    assert it.canvas("program").evaluate(PIXELS)[1] < light - 100


@pytest.mark.parametrize("count", [1, 2])
def test_a_phone_shows_it_without_scrolling_sideways(count: int, opened: Any, a_call: Recording, another: Recording) -> None:
    recordings = (a_call, another)[:count]
    it = opened(
        *recordings,
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
        names=("a" * 80 + ".jsonl.gz",) * count,
    )
    page = it.page
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [360, 360]
    small = page.evaluate(f"{SHOWN}.filter((each) => each.matches('button, select, input') && each.offsetHeight < 44).length")
    assert small == 0
    tiny = page.evaluate(f"{SHOWN}.filter((each) => each.textContent && parseFloat(getComputedStyle(each).fontSize) < 11).length")
    assert tiny == 0
    assert page.evaluate("() => [...document.querySelectorAll('canvas.lane')].every((each) => each.clientWidth > 300)")
