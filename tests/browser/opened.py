"""A page that was opened, and what it must not do: write an error into its console, ask for anything."""

from pathlib import Path
from typing import Any

LANES = ["user", "program", "client messages", "server", "received", "audible", "text as heard", "cuts", "notices"]


class Opened:
    """A page, and what it must not do."""

    def __init__(self, chromium: Any, file: Path, **options: Any) -> None:
        self.wrong: list[str] = []
        self.context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: None if request.url == file.as_uri() else self.wrong.append(request.url))
        self.page.goto(file.as_uri())
        if options.get("java_script_enabled", True):
            self.page.wait_for_selector("#lanes[data-from]")

    def _said(self, said: Any) -> None:
        if "willReadFrequently" not in said.text:  # that is about the tests, which read what was drawn
            self.wrong.append(f"{said.type}: {said.text}")

    def seen(self) -> tuple[float, float]:
        """The stretch of the axis that is seen, once it has been drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        data = self.page.evaluate("() => ({...document.getElementById('lanes').dataset})")
        return float(data["from"]), float(data["to"])

    def wide(self) -> float:
        first, last = self.seen()
        return last - first

    def cursor(self) -> float:
        return float(self.page.get_attribute("#strip", "aria-valuenow"))

    def canvas(self, lane: str, recording: int = 0) -> Any:
        """The lane's canvas."""
        return self.page.locator(".recording").nth(recording).locator("canvas").nth(LANES.index(lane))

    def at(self, time: float) -> float:
        """The pixel of a time, from the canvas's left."""
        first, last = self.seen()
        return (time - first) / (last - first) * float(self.page.evaluate("document.getElementById('axis').clientWidth"))

    def close(self) -> None:
        self.context.close()
        assert self.wrong == []
