"""What the timeline viewer shows: anybody's text, two recordings, an hour."""

from typing import Any

import pytest
from helpers.calls import A_CALL, Turn, an_hour, call

from rtcore.recording import Recording, read

EVIL = "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 1'> \" ' & <!-- \u2028 \U0001f600 ]]>"

KEYS = """async () => {
    const lanes = document.getElementById("lanes");
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const times = [];
    for (const key of [..."0++++++++++++------------0", ...Array(20).fill("ArrowRight"), ...Array(20).fill("n")]) {
        const begun = performance.now();
        lanes.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        await frame();
        await frame();
        times.push(performance.now() - begun);
    }
    return times;
}"""
"""Zooms in and out, pans, goes from event to event: how long each took, in ms, until it was drawn."""


def test_no_text_of_a_recording_is_run_or_becomes_markup(opened: Any) -> None:
    """What was said, what the model answered, names and headings: all of it is somebody else's text."""
    lines = call([Turn(EVIL, EVIL, 2_000, 1_500), Turn("And?", EVIL, 1_000)])
    it = opened(read(lines), title=EVIL, names=(EVIL,))
    page = it.page
    assert page.evaluate("document.querySelector('h1').textContent") == EVIL
    page.fill("#find", "onerror")
    rows = page.locator("[role=option]").count()
    assert rows >= 2
    page.focus("#list")
    for _ in range(rows):
        page.keyboard.press("ArrowDown")
        assert "onerror=" in page.evaluate("document.querySelector('#detail').textContent")
    box = it.canvas("text as heard").bounding_box()
    page.mouse.move(box["x"] + it.at(3.0), box["y"] + 20)
    assert page.evaluate("[window.ran === undefined, document.images.length, document.scripts.length]") == [True, 0, 2]
    page.focus("#strip")
    page.keyboard.press("End")
    assert page.evaluate("document.querySelector('.words').textContent") == EVIL


def test_without_javascript_there_is_a_table(opened: Any, a_call: Recording) -> None:
    it = opened(a_call, java_script_enabled=False)
    text = it.page.inner_text("body")
    assert "conversation.item.truncate item_2 [0] 3100 ms" in text and "partial 3100 of 7600 ms" in text
    assert it.page.locator("main").is_hidden()


@pytest.mark.parametrize("lines", [slice(0, 1), slice(0, 2), slice(0, 30)], ids=["nothing", "one call", "a beginning"])
def test_a_session_that_has_hardly_begun_is_shown(lines: slice, opened: Any) -> None:
    it = opened(read(call(A_CALL)[lines], partial=True))
    page = it.page
    page.focus("#lanes")
    for key in "+-0cnp ":
        page.keyboard.press(key)
    page.focus("#list")
    page.keyboard.press("End")
    assert "none" in page.inner_text(".moment dl") and it.wide() > 0


def test_two_recordings_share_one_axis(opened: Any, a_call: Recording, another: Recording) -> None:
    it = opened(a_call, another, names=("quick", "slow"), align="cut")
    page = it.page
    assert page.locator(".recording h2").all_inner_texts() == ["A · quick", "B · slow"]
    times = page.locator(".moment .time").all_inner_texts()
    assert [round(float(each.removesuffix(" s")), 1) for each in times] == [10.6, 11.5]  # aligned where each was cut
    heard = page.locator(".moment .said").all_inner_texts()
    assert heard[0] != heard[1]
    page.select_option("#align", "begin")
    one, other = (float(each.removesuffix(" s")) for each in page.locator(".moment .time").all_inner_texts())
    assert one == other
    # At an event that was chosen in each.
    page.fill("#find", "item.truncate 2000")
    page.focus("#list")
    page.get_by_role("button", name="Align here").click()
    page.fill("#find", "item.truncate 2900")
    page.locator("[role=option]").first.click()
    page.get_by_role("button", name="Align here").click()
    page.fill("#find", "")
    assert page.input_value("#align") == "chosen"
    page.focus("#strip")
    page.keyboard.press("Home")
    page.locator("#find").fill("item.truncate 2")
    labels = page.locator("[role=option]").all_inner_texts()
    assert [label.split()[0] for label in labels] == ["0.000", "0.000"]
    # Zoomed together.
    both = [it.canvas("audible", index).bounding_box() for index in (0, 1)]
    assert (both[0]["x"], both[0]["width"]) == (both[1]["x"], both[1]["width"])
    wide = it.wide()
    page.focus("#lanes")
    page.keyboard.press("+")
    assert it.wide() < wide


@pytest.fixture(scope="module")
def hour() -> Recording:
    return read(an_hour())


def test_an_hour_opens_and_zooms(opened: Any, hour: Recording) -> None:
    """Times are told, and bounded so generously that only a page that does work for what nobody sees is beyond it."""
    it = opened(hour)
    page = it.page
    events = int(page.inner_text("#count").removesuffix(" events").replace(",", ""))
    assert events > 15_000
    assert page.locator("[role=option]").count() < 40
    opening = page.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    page.focus("#lanes")
    took = sorted(page.evaluate(KEYS))
    print(f"{events} events: open after {opening:.0f} ms")
    print(f"two frames after a key: median {took[len(took) // 2]:.0f} ms, most {took[-1]:.0f} ms")
    assert opening < 20_000 and took[len(took) // 2] < 1_000
    page.focus("#list")
    page.keyboard.press("End")
    assert it.cursor() > 3_300
    page.keyboard.press("PageUp")
    assert page.get_attribute("#list", "aria-activedescendant") != f"event-{events - 1}"
