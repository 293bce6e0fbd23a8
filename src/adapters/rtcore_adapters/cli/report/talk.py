"""``report.html``: what ``rtcore demo`` found, as one page that needs nothing but a browser.

``page`` makes it, ``picture_file`` the picture alone. Every text is escaped; there are no scripts and no outside resources.
"""

import platform
from collections.abc import Sequence
from html import escape
from string import Template

from msgspec import Struct

from rtcore.sim.results import CampaignResult, Violation
from rtcore_adapters.cli._document import document
from rtcore_adapters.cli._heard import Message
from rtcore_adapters.cli._live import LiveResult, Talked
from rtcore_adapters.cli._table import INVARIANTS, figures, number
from rtcore_adapters.cli.report._page import problem_list, read, table, text_list
from rtcore_adapters.cli.report._picture import picture, standalone


class Caught(Struct, frozen=True):
    """What became of a sabotaged core: what it broke first, or None; after how many interruptions; how to see it again."""

    name: str
    violation: Violation | None
    interruptions: int
    command: str


class Findings(Struct, frozen=True):
    """Everything that a demo found. ``problems`` is what failed, in words; ``seconds`` is how long the fuzzing took."""

    seed: int
    live: LiveResult
    fuzz: CampaignResult
    fuzz_seconds: float
    sabotaged: tuple[Caught, ...]
    problems: tuple[str, ...]


def page(found: Findings) -> str:
    """The report."""
    shown = found.live.talks[0]
    talks, simulated = len(found.live.talks), found.fuzz.interruptions
    good = not found.problems
    lines = figures(found.fuzz, found.fuzz_seconds)
    content = Template(read("page.html")).substitute(
        lead=f"{number(talks + simulated)} interruptions: {talks} in real conversations over websockets, {number(simulated)} in "
        "simulated ones.",
        verdict="Everything held." if good else f"Failed: {len(found.problems)}",
        mood="good" if good else "bad",
        problems=problem_list(found.problems),
        broad=picture(shown),
        narrow=picture(shown, width=360),
        caption=escape(caption(shown)),
        words="\n".join(_words(message, index) for index, message in enumerate(shown.hearing.messages)),
        live=f"{talks} conversations at real speed: a strict server and a client each, joined by a websocket; recorded speech "
        "into the microphone, found by the server's turn detection. A truncation error is the difference between what the server "
        "was told and what the recorded sound holds, found again sample by sample in what the server sent. Silence counts from "
        "the moment at which the server said that the person speaks, and includes the simulated loudspeaker's own (up to 40 ms).",
        live_table=table(found.live.kinds),
        fuzz="The same core and the same strict server, without waiting. A world is a seed, and a seed is the same world again.",
        fuzz_table=table(found.fuzz.kinds),
        figures=text_list(lines),
        sabotaged="\n".join(_caught(each) for each in found.sabotaged),
        footer=f"Made by <code>rtcore demo --seed {found.seed}</code> on Python {escape(platform.python_version())}. "
        "What was audible in the conversation above is in <code>heard.wav</code>.",
    )
    return document("rtcore demo", read("picture.css") + read("page.css"), content)


def picture_file(talk: Talked) -> str:
    """The picture as an SVG file of its own."""
    return standalone(talk, read("picture.css"))


def caption(talk: Talked) -> str:
    """What the picture shows, in words."""
    text = (
        "The upper lane shows the audio of each message: it arrives faster than real time (left edge), waits, and is heard "
        "(right edge, bold). Where the person begins to speak, the sound is flushed at once: what had not been heard is dropped "
        "(dotted), and so is what still comes."
    )
    names = _names(talk.hearing.messages)
    for message in talk.hearing.messages:
        name = names[message.item_id].capitalize()
        if message.truncated_ms is not None:
            text += f" {name} is truncated to the {number(message.truncated_ms)} ms that were audible."
        elif message.deleted:
            text += f" {name}, of which nothing was audible, is deleted."
    return text + " Then the next turn is answered."


def _names(messages: Sequence[Message]) -> dict[str, str]:
    first = messages[0].response_id if messages else ""
    return {
        message.item_id: f"message {index + 1}" if message.response_id == first else "the next answer"
        for index, message in enumerate(messages)
    }


def _words(message: Message, index: int) -> str:
    heard = message.heard_text
    rest = message.text[len(heard) :] if message.text.startswith(heard) else ""
    lost = f"<del>{escape(rest)}</del>" if rest.strip() else ""
    ms = f"{number(message.heard * 1000 // 24_000)} of {number(message.sent * 1000 // 24_000)}"
    return f"<tr><td>{index + 1}</td><td>{escape(message.verdict)}</td><td>{ms}</td><td>{escape(heard)}{lost}</td></tr>"


def _caught(each: Caught) -> str:
    if each.violation is None:
        by = f'<span class="bad">not caught in {number(each.interruptions)} interruptions</span>'
    else:
        name = INVARIANTS.get(each.violation.invariant, "")
        by = f"invariant {each.violation.invariant} ({escape(name)}): {escape(each.violation.text)}"
    return f"<tr><td>{escape(each.name)}</td><td>{by}</td><td><code>{escape(each.command)}</code></td></tr>"
