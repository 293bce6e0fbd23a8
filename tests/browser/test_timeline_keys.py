"""The timeline viewer without a mouse: every key, the focus, names for those who cannot see it."""

import re
from typing import Any

import pytest

from browser.opened import LANES
from rtcore.recording import Recording


def facts(page: Any) -> dict[str, str]:
    """What is so at the cursor, by its name."""
    names, values = (page.locator(f".moment {each}").all_inner_texts() for each in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def test_keys_alone_zoom_pan_and_scrub(opened: Any, a_call: Recording) -> None:
    it = opened(a_call)
    page, press = it.page, it.page.keyboard.press
    page.focus("#lanes")
    press("0")
    whole = it.wide()
    press("+")
    press("+")
    assert it.wide() == pytest.approx(whole / 1.6**2, rel=1e-3)
    first, wide = it.seen()[0], it.wide()
    press("ArrowRight")
    assert it.seen()[0] == pytest.approx(first + wide / 8, abs=1e-3)
    press("ArrowLeft")
    press("-")
    press("-")
    assert it.wide() == pytest.approx(whole, rel=1e-3)
    press("+")
    press("Home")
    assert it.seen()[0] < 0.01
    press("End")
    assert it.seen()[1] > 25
    before = it.cursor()
    press("Shift+ArrowRight")
    assert it.cursor() > before
    page.focus("#strip")
    press("Home")
    assert it.cursor() == 0
    press("ArrowRight")
    assert it.cursor() == pytest.approx(0.1)
    press("Shift+ArrowRight")
    assert it.cursor() == pytest.approx(1.1)
    press("PageUp")
    assert it.cursor() == pytest.approx(11.1)
    press("End")
    assert it.cursor() == pytest.approx(float(page.get_attribute("#strip", "aria-valuemax")))


def test_the_moment_says_what_is_audible_heard_told_and_cut(opened: Any, a_call: Recording) -> None:
    """The cursor in the middle of an answer, and after its cut: the words so far are those of the notices (B30)."""
    it = opened(a_call)
    page = it.page
    assert it.cursor() == pytest.approx(10.64, abs=0.05)  # it opens where the second answer was cut
    assert page.inner_text(".words .said").startswith("It takes two hours and ten minutes.")
    assert "reach the other platform." in page.inner_text(".words s.rest")
    now = facts(page)
    assert (now["audible"], now["heard"], now["received"]) == ("silence", "3100 of 7600 ms\npartial", "7600 ms")
    assert now["last client message"].startswith("item.truncate 3100 ms\n0.0")
    page.focus("#strip")
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    now = facts(page)
    assert now["audible"] == "message 2"
    assert 1_800 <= int(now["heard"].removesuffix(" ms")) <= 2_100
    assert now["last cut"] == "none yet"
    said = page.inner_text(".words .said").strip()
    assert said and "It takes two hours and ten minutes. You change".startswith(said) and page.locator(".words s").count() == 0
    assert said in page.get_attribute("#strip", "aria-valuetext")


def test_every_control_is_reached_by_tab_and_shows_its_focus(opened: Any, a_call: Recording) -> None:
    it = opened(a_call)
    page = it.page
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        where = page.evaluate(
            "() => { const it = document.activeElement, style = getComputedStyle(it);"
            " return [it.id || it.tagName, style.outlineStyle, parseFloat(style.outlineWidth)]; }"
        )
        if where[0] == "BODY":
            break
        reached.append(where[0])
        assert where[1] != "none" and where[2] >= 2, where
    assert reached[:12] == ["SUMMARY", "play", "out", "in", "all", "before", "after", "strip", "lanes", "only", "find", "list"]


def test_everything_has_a_name_for_those_who_cannot_see_it(opened: Any, a_call: Recording, another: Recording) -> None:
    for it in (opened(a_call), opened(a_call, another)):
        page = it.page
        for lane in LANES:
            assert page.get_by_role("img", name=re.compile(rf"^{lane}")).count() == page.locator(".recording").count()
        assert page.get_by_role("img", name=re.compile(r"^audible.*5 events, 3 full, 2 partial\.$")).count()
        for role, name in (
            ("slider", "Moment"),
            ("listbox", "Events"),
            ("toolbar", "View"),
            ("group", "Lanes"),
            ("searchbox", "Find"),
        ):
            assert page.get_by_role(role, name=name, exact=True).count() == 1, (role, name)
        controls = "[...document.querySelectorAll('button, select, input')].filter((each) => each.checkVisibility())"
        assert page.evaluate(f"{controls}.length") >= 8
        assert page.evaluate(f"{controls}.every((each) => each.textContent.trim() || each.labels?.length)")


def test_the_list_explains_the_chosen_event_by_keys(opened: Any, a_call: Recording) -> None:
    it = opened(a_call)
    page = it.page
    page.select_option("#only", "client")
    assert page.inner_text("#count") == "5 events"
    page.focus("#list")
    for _ in range(5):
        if "item.truncate" in page.inner_text("#detail h3"):
            break
        page.keyboard.press("ArrowDown")
    detail = page.inner_text("#detail")
    assert "Tells the server how much of a message was heard" in detail
    assert '"audio_end_ms": 3100' in detail and "conversation.item.truncate" in detail
    active = page.get_attribute("#list", "aria-activedescendant")
    chosen = page.locator(f"#{active}")
    assert chosen.get_attribute("aria-selected") == "true" and "item.truncate 3100 ms" in chosen.inner_text()
    assert it.cursor() == pytest.approx(10.54, abs=0.05)
    page.get_by_role("button", name="Show it closer").click()
    assert it.wide() < 5
    page.select_option("#only", "")
    page.fill("#find", "millbrook")
    assert 0 < page.locator("[role=option]").count() < 12
    page.fill("#find", "nothing like it")
    assert page.inner_text("#count") == "0 events"
    page.focus("#list")
    page.keyboard.press("ArrowDown")


def test_keys_go_from_event_to_event_and_from_cut_to_cut(opened: Any, a_call: Recording) -> None:
    it = opened(a_call)
    page = it.page
    page.focus("#strip")
    page.keyboard.press("Home")
    page.focus("#lanes")
    page.keyboard.press("c")
    first = it.cursor()
    assert page.inner_text("#detail h3") == "flush" and first == pytest.approx(10.54, abs=0.05)
    page.keyboard.press("c")
    assert it.cursor() > first + 5
    page.keyboard.press("Shift+C")
    assert it.cursor() == first
    page.keyboard.press("n")
    assert page.inner_text("#detail h3") != "flush"
    page.keyboard.press("p")
    assert page.inner_text("#detail h3") == "flush"
    page.focus("#find")
    page.keyboard.type("c+-0n ")
    assert page.input_value("#find") == "c+-0n " and it.cursor() == first
