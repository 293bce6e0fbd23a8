"""A real Chromium, the pages that tests open in it, and the calls that they show."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from helpers.calls import A_CALL, call
from msgspec import structs

from browser.opened import Opened
from rtcore.recording import Recording, read
from rtcore_adapters.timeline import write_timeline

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the browser they are skipped; ``make browser`` has it, and asks for them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if os.environ.get("RTCORE_BROWSER") != "required":
                item.add_marker(pytest.mark.skip(reason="make browser runs these"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with import_module("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens pages of recordings; what they did wrong ends the test."""
    pages: list[Opened] = []

    def opens(
        *recordings: Recording, align: Any = "begin", names: tuple[str, ...] = (), title: str = "", **options: Any
    ) -> Opened:
        file = write_timeline(tmp_path / f"{len(pages)}.html", *recordings, align=align, names=names, title=title)
        pages.append(Opened(chromium, file, **options))
        return pages[-1]

    yield opens
    for each in pages:
        each.close()


@pytest.fixture(scope="session")
def a_call() -> Recording:
    return read(call(A_CALL))


@pytest.fixture(scope="session")
def another() -> Recording:
    """The same, but the user cuts in later."""
    late = [structs.replace(turn, cut_ms=turn.cut_ms and turn.cut_ms + 900) for turn in A_CALL]
    return read(call(late))
