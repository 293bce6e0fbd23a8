"""The timeline viewer with a mouse and with fingers."""

import re
from typing import Any

import pytest

from rtcore.recording import Recording


def test_hovering_explains_and_a_click_chooses(opened: Any, a_call: Recording) -> None:
    it = opened(a_call)
    page = it.page
    lane = it.canvas("client messages")
    box = lane.bounding_box()
    page.mouse.move(box["x"] + it.at(10.545) + 20, box["y"] + 14)
    tip = page.inner_text("#tip")
    assert "item.truncate 3100 ms" in tip and "Tells the server how much of a message was heard" in tip
    page.mouse.click(box["x"] + it.at(10.545) + 20, box["y"] + 14)
    assert page.inner_text("#detail h3") == "item.truncate 3100 ms"
    box = it.canvas("audible").bounding_box()
    page.mouse.move(box["x"] + it.at(3), box["y"] + 30)
    tip = page.inner_text("#tip")
    assert "full 4200 of 4200 ms" in tip
    told = re.search(r"At 3\.\d+ s (\d+) ms of item_1 were heard, 4200 ms of it had arrived\.", tip)
    assert told is not None and 1_400 < int(told[1]) < 1_800
    box = it.canvas("text as heard").bounding_box()
    page.mouse.click(box["x"] + it.at(9.5), box["y"] + 20)
    assert "ms of item_2 were heard." in page.inner_text("#detail") and "HeardText" in page.inner_text("#detail")
    page.mouse.move(5, 5)
    assert page.is_hidden("#tip")


def test_wheel_zooms_where_the_pointer_is_and_dragging_pans(opened: Any, a_call: Recording) -> None:
    it = opened(a_call)
    page = it.page
    box = it.canvas("server").bounding_box()
    before = it.at(5.0)
    page.mouse.move(box["x"] + before, box["y"] + 30)
    wide = it.wide()
    for _ in range(5):
        page.mouse.wheel(0, -200)
    assert it.wide() == pytest.approx(wide * 2.718281828**-2, rel=1e-2)
    assert it.at(5.0) == pytest.approx(before, abs=4)  # a pointer stands on whole pixels, of which there are more now
    first, last = it.seen()
    page.mouse.move(box["x"] + 500, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 30, steps=4)
    page.mouse.up()
    moved = (it.seen()[0] - first) / (last - first) * box["width"]
    assert moved == pytest.approx(100, abs=2)
    page.mouse.wheel(120, 0)
    assert it.seen()[0] > first
    strip = page.locator("#strip").bounding_box()
    page.mouse.click(strip["x"] + strip["width"] / 2, strip["y"] + 10)
    assert it.cursor() == pytest.approx(float(page.get_attribute("#strip", "aria-valuemax")) / 2, rel=0.01)


def test_fingers_pinch_pan_and_choose_on_a_phone(opened: Any, a_call: Recording) -> None:
    it = opened(a_call, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = it.page
    touch = it.context.new_cdp_session(page)
    lane = it.canvas("audible")
    lane.scroll_into_view_if_needed()
    box = lane.bounding_box()
    y = box["y"] + 20

    def send(kind: str, *xs: float) -> None:
        points = [{"x": x, "y": y, "id": index} for index, x in enumerate(xs)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    wide = it.wide()
    send("touchStart", 150, 200)
    for step in range(1, 9):
        send("touchMove", 150 - 8 * step, 200 + 8 * step)
    send("touchEnd")
    assert it.wide() == pytest.approx(wide * 50 / 178, rel=0.15)
    first, wide = it.seen()[0], it.wide()
    send("touchStart", 200)
    for step in range(1, 6):
        send("touchMove", 200 - 16 * step)
    send("touchEnd")
    assert it.seen()[0] == pytest.approx(first + wide * 80 / box["width"], rel=0.2)
    send("touchStart", 100)
    send("touchEnd")
    page.wait_for_selector("#detail h3")
    assert page.is_visible("#tip") and page.inner_text("#detail h3") in page.inner_text("#tip")
    send("touchStart", 300)
    assert page.is_hidden("#tip")
    send("touchEnd")


def test_play_lets_the_time_run(opened: Any, a_call: Recording) -> None:
    it = opened(a_call)
    page = it.page
    page.focus("#strip")
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    assert page.inner_text("#play") == "Pause"
    for _ in range(500):
        if it.cursor() > 0.2:
            break
        page.wait_for_timeout(10)
    assert it.cursor() > 0.2
    page.keyboard.press(" ")
    assert page.inner_text("#play") == "Play"
    stopped = it.cursor()
    it.seen()
    assert it.cursor() == stopped
