"""What was heard, in words: the estimate against the word times of real speech.

The packaged recordings (five languages) are said as messages of several kinds: as they are, several as one long message, faster
and slower, with digits where numbers are spelled out, with silence and with noise around them. Their audio arrives 1.2, 3 and 10
times as fast as it sounds, or has arrived before; their transcript comes ahead of it, in step, a second behind, or stops half
way. While each message sounds it is cut at random places, and its running text is asked for every 100 ms.

A word is heard when its sound is over. A word that sounds at the cut may be told or not (B30, invariant 11); so an error is the
number of words told that had not begun, or of those not told that were over. *strict* stands for the share in which not even the
word in progress is told, and *mean* is the signed mean against the words that were over. Words whose text had not come are not
asked for. *back* counts words that the running text took back.

The same for sentences that were held out: nothing was fitted to them or to their voices. Beside the estimate of rtcore: the share
of the received audio, syllables at an even pace, and, where ``--clients-python`` names a Python that has it, the transcript
synchroniser of livekit-agents.

The figures are quality, the same on every machine. Run it by ``make bench-text`` or ``python benchmarks/heard_text.py``.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from said import Message, Random, messages, others

import rtcore
import rtcore_adapters
from rtcore import PCM16_24K
from rtcore._pacing import Pacing
from rtcore._script import syllables

PIECE_MS = 100
"""Audio in a delta, and between two questions for the running text."""
CUTS = 12
"""In each message, for each way to arrive."""
EXACT = {"after arrival": 0.95, "while arriving": 0.90}
"""To reach."""
SPEEDS: dict[str, tuple[int | None, ...]] = {"after arrival": (None,), "while arriving": (12, 30, 100)}
"""In tenths of the sound's own time."""
GUEST = "livekit-agents"


class Estimate(Protocol):
    """What is measured: one for each message."""

    @property
    def fresh(self) -> list[bytes | memoryview]:
        """Where audio that comes is appended."""

    def heard(self, text: str, heard: int, received: int, *, final: bool, complete: bool) -> int:
        """Characters of the text that were heard."""


class Proportional:
    """The share of the received audio is the share of the text, in whole words."""

    def __init__(self) -> None:
        self.fresh: list[bytes | memoryview] = []

    def heard(self, text: str, heard: int, received: int, *, final: bool, complete: bool) -> int:
        """Characters of the text that were heard."""
        if heard >= received:
            return len(text)
        end = len(text) * heard // received
        if text[end : end + 1].isspace() or not any(map(str.isspace, text)):
            return end
        while end and not text[end - 1].isspace():
            end -= 1
        return end


class Paced:
    """Syllables at an even pace: 3.83 a second, which is usual, and what uses up both once text and audio are complete."""

    def __init__(self) -> None:
        self.fresh: list[bytes | memoryview] = []

    def heard(self, text: str, heard: int, received: int, *, final: bool, complete: bool) -> int:
        """Characters of the text that were heard."""
        spaced = any(map(str.isspace, text))
        ends = [at for at in range(1, len(text) + 1) if at == len(text) or not spaced or text[at].isspace()]
        times, total, before = [], 0.0, 0
        for end in ends:
            total += syllables(text[before:end])
            times.append(total)
            before = end
        said = total * heard / received if complete and final else 3.83 * heard / PCM16_24K.rate
        return max((end for end, time in zip(ends, times, strict=True) if time <= said), default=0)


ESTIMATES: dict[str, Callable[[], Estimate]] = {
    "proportional": Proportional,
    "even pace": Paced,
    "rtcore": lambda: Pacing(PCM16_24K),
}


class Arrival(NamedTuple):
    """How a message comes."""

    speed: int | None
    """Audio, in tenths of its own time; None where it has come before it sounds."""
    behind_ms: int | None
    """How much of the audio comes before its words; None where the whole text came first."""
    text_share: int = 100
    """Hundredths of the text that come at all."""

    def audio(self, message: Message, heard: int) -> int:
        """Samples there when so many were heard. The first piece is there before it sounds."""
        if self.speed is None:
            return message.samples
        piece = PIECE_MS * 24
        return min(message.samples, heard * self.speed // 10 // piece * piece + 2 * piece)

    def text(self, message: Message, received: int) -> tuple[str, bool]:
        """The text there when so much audio is, and whether it is complete."""
        most = len(message.text) * self.text_share // 100
        if self.behind_ms is None or (self.behind_ms == 0 and received >= message.samples):
            return message.text[:most], self.text_share == 100
        ends = [w.end for w in message.words if w.over + self.behind_ms * 24 <= received and w.end <= most]
        end = ends[-1] if ends else 0
        return message.text[:end], end == len(message.text)


TEXTS = {"ahead": (None, 100), "in step": (0, 100), "1 s behind": (1000, 100), "stops": (None, 50)}


class Tally:
    """The errors of one line."""

    def __init__(self, errors: Sequence[int] = (), strict: Sequence[int] = (), back: int = 0) -> None:
        self.errors = list(errors)
        self.strict = list(strict)
        self.back = back

    def add(self, told: int, over: int, begun: int) -> None:
        """One cut."""
        self.strict.append(told - over)
        self.errors.append(max(told - begun, 0) + min(told - over, 0))

    def __iadd__(self, other: "Tally") -> "Tally":
        self.errors += other.errors
        self.strict += other.strict
        self.back += other.back
        return self

    @property
    def exact(self) -> float:
        """The share without an error."""
        return self.errors.count(0) / len(self.errors)

    @property
    def p95(self) -> int:
        """Of the size of the error."""
        return sorted(map(abs, self.errors))[len(self.errors) * 95 // 100]

    def __str__(self) -> str:
        sizes = sorted(map(abs, self.errors))
        strict = self.strict.count(0) / len(self.strict)
        mean = sum(self.strict) / len(self.strict)
        shares = f"{len(sizes):7}{self.exact:8.1%}{strict:8.1%}"
        return f"{shares}{sizes[len(sizes) // 2]:5}{self.p95:5}{sizes[-1]:5}{mean:+7.2f}{self.back:6}"


HEAD = f"{'cuts':>7}{'exact':>8}{'strict':>8}{'p50':>5}{'p95':>5}{'max':>5}{'mean':>7}{'back':>6}"


def play(message: Message, arrival: Arrival, make: Callable[[], Estimate], random: Random) -> Tally:
    """Sound one message: its running text, and cuts, those while it arrives where it does."""
    estimate, tally = make(), Tally()
    until = message.samples
    if arrival.speed is not None:
        until = max(240, message.samples * 10 // arrival.speed - 2 * PIECE_MS * 24)
    cuts = {random.between(1, until - 1) for _ in range(CUTS)}
    given = shown = 0
    for heard in sorted(cuts | set(range(PIECE_MS * 24, message.samples, PIECE_MS * 24))):
        received = arrival.audio(message, heard)
        if received > given:
            estimate.fresh.append(message.pcm[2 * given : 2 * received])
            given = received
        text, final = arrival.text(message, received)
        told = estimate.heard(text, heard, received, final=final, complete=received == message.samples)
        words = sum(word.end <= told for word in message.words)
        tally.back += max(0, shown - words)
        shown = words
        if heard in cuts:
            known = sum(word.end <= len(text) for word in message.words)
            over = sum(word.over <= heard for word in message.words[:known])
            tally.add(words, over, sum(word.starts < heard for word in message.words[:known]))
    return tally


def tallies(make: Callable[[], Estimate], seed: int) -> Iterator[tuple[str, str, Tally]]:
    """What is said, when it is cut, and how far the estimate is off: the kinds, how they arrive, and all together."""
    for title, kinds in (("packaged", list(messages(Random(seed)))), ("held out", list(others(Random(seed))))):
        for when, speeds in SPEEDS.items():
            random = Random(seed)
            whole = Tally()
            by: dict[str, Tally] = {}
            for kind, said in kinds:
                for message in said:
                    for speed in speeds:
                        for text, (behind, share) in TEXTS.items():
                            if when == "after arrival" and text != "ahead":
                                continue
                            found = play(message, Arrival(speed, behind, share), make, random)
                            whole += found
                            for key in (kind, f"text {text}", "" if speed is None else f"{speed / 10:g} times"):
                                by.setdefault(key, Tally()).__iadd__(found)
            for key, tally in by.items():
                if key and not (when == "after arrival" and key.startswith("text")):
                    yield title, f"{when}, {key}", tally
            yield title, when, whole


def show(name: str, found: Iterable[tuple[str, str, Tally]]) -> dict[tuple[str, str], Tally]:
    """Print one estimate's table, and give its sums."""
    whole: dict[tuple[str, str], Tally] = {}
    for title, line, tally in found:
        if (title, line) == ("packaged", "after arrival, single") or line == "after arrival, voices of people, English":
            print(f"\n{f'{name}, {title} speech':40}{HEAD}")
        if line in SPEEDS:
            whole[title, line] = tally
        print(f"{line + ', ALL' * (line in SPEEDS):40}{tally}", flush=True)
    return whole


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--clients-python", type=Path, help="a Python that has livekit-agents, to measure its synchroniser beside"
    )
    parser.add_argument("--programs-turn", action="store_true", help=argparse.SUPPRESS)  # it is that Python that runs this
    given = parser.parse_args()
    if given.programs_turn:
        from programs.livekit_text import Synchroniser  # noqa: PLC0415  # only where it is installed

        for title, line, tally in tallies(Synchroniser, given.seed):
            print(json.dumps([title, line, tally.errors, tally.strict, tally.back]), flush=True)
        return 0
    guest = None
    if given.clients_python is not None:
        roots = [str(Path(module.__path__[0]).parent) for module in (rtcore, rtcore_adapters)]
        guest = subprocess.Popen(
            [given.clients_python, __file__, "--programs-turn", "--seed", str(given.seed)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(roots)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    sums = {name: show(name, tallies(make, given.seed)) for name, make in ESTIMATES.items()}
    if guest is not None and guest.stdout is not None:
        lines = (json.loads(line) for line in guest.stdout)
        sums[GUEST] = show(GUEST, ((title, line, Tally(*counts)) for title, line, *counts in lines))
        if guest.wait():
            raise SystemExit(f"{given.clients_python} could not measure {GUEST}")
    print(f"\n{'all together':40}{HEAD}")
    for title, when in sums["rtcore"]:
        for name, found in sums.items():
            print(f"{f'{title}, {when}: {name}':40}{found[title, when]}")
    missed = False
    for (title, when), tally in sums["rtcore"].items():
        reached = tally.exact >= EXACT[when] and tally.p95 <= 1 and not tally.back
        missed |= not reached and title == "packaged"
        print(f"to reach, {title} speech, {when}: exact {EXACT[when]:.0%}, p95 1, back 0: {'reached' if reached else 'MISSED'}")
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
