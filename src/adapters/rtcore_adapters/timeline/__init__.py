"""A conversation as a page that one can zoom and scrub: who spoke, what arrived, what was audible, which words were heard.

    async with connect(config, record=Record("call.jsonl.gz", text=True)) as conversation:
        ...
    write_timeline("call.html", "call.jsonl.gz")

The page is one file that needs nothing but a browser; it loads nothing. It is drawn from recordings: of a conversation that is
over, or of one that goes on, as far as its file reaches. Two recordings lie one above the other on one axis.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rtcore import Session
from rtcore.policies import Policies
from rtcore.recording import Recording, Step, steps
from rtcore.sim.recorded import world_of
from rtcore_adapters._recording import read_recording
from rtcore_adapters.timeline._facts import facts_of
from rtcore_adapters.timeline._lanes import Timeline
from rtcore_adapters.timeline._page import page
from rtcore_adapters.timeline._reader import timeline_of

__all__ = ["Align", "Source", "timeline_page", "write_timeline"]

Source = str | os.PathLike[str] | Recording
"""A recording: its file, or one that was read (``rtcore.recording.read``)."""
Align = Literal["begin", "sound", "cut"]
"""Where two recordings meet: at their beginning, the first sound that was heard, or the first cut. The page can change it."""


def timeline_page(
    *sources: Source,
    title: str = "",
    names: Sequence[str] = (),
    align: Align = "begin",
    policies: Policies | None = None,
) -> str:
    """The page of one recording, or of two. ``names`` stand above them in the page (default: their files' names).

    A file that breaks off, because its conversation goes on or its process was killed, is shown as far as it goes. ``policies``
    are the program's own, where it had some (``Header.policies``). Raises ``ValueError`` for any other number of recordings,
    ``OSError`` and ``rtcore.recording.RecordingError`` for a file that cannot be read.
    """
    if not 1 <= len(sources) <= 2:
        raise ValueError(f"a timeline shows one recording, or two beside each other, not {len(sources)}")
    if names and len(names) != len(sources):
        raise ValueError(f"{len(names)} names for {len(sources)} recordings: give one for each, or none")
    found = [_named(source, names[index] if names else "") for index, source in enumerate(sources)]
    timelines = [_timeline(recording, name, policies) for recording, name in found]
    return page(timelines, title or f"Timeline of {' and '.join(name for _, name in found)}", align)


def write_timeline(
    target: str | os.PathLike[str],
    *sources: Source,
    title: str = "",
    names: Sequence[str] = (),
    align: Align = "begin",
    policies: Policies | None = None,
) -> Path:
    """Write ``timeline_page`` to a file, in one step: who reads it meanwhile sees the old page or the new one. Gives its path.

    The recording is run once more for it, some seconds for an hour: in an event loop, call it in a thread. Raises what
    ``timeline_page`` does, and ``OSError`` where the file cannot be written.
    """
    path = Path(target)
    text = timeline_page(*sources, title=title, names=names, align=align, policies=policies)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_text(text, encoding="utf-8")  # a link, a pipe, a device: what it leads to is written, not replaced
        return path
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _named(source: Source, name: str) -> tuple[Recording, str]:
    if isinstance(source, Recording):
        return source, name or "a recording"
    return read_recording(source, partial=True), name or Path(source).name


def _timeline(recording: Recording, name: str, policies: Policies | None) -> Timeline:
    world = world_of(recording.header)
    again = steps(recording, factory=Session if world is None else world.factory, policies=policies)
    different: list[int] = []

    def noted(step: Step) -> Step:
        if not step.same:
            different.append(step.line)
        return step

    it = timeline_of(map(noted, again))
    it.name = name
    it.facts = facts_of(recording, world)
    if world is not None:
        it.facts += [f"Broken: invariant {each.invariant} at {each.at:.3f} s: {each.text}" for each in world.violations[:5]]
    if different:
        it.facts.append(
            f"{len(different)} inputs give another outcome than the recorded one, first on line {different[0]}: "
            "this page shows what this version of rtcore does"
        )
    return it
