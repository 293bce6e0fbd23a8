"""What came of a call, by what three processes wrote down: nothing here asks the core.

- Every sound is a server's, sample by sample, begins with a message's first, and goes on where it was: no word twice, none lost.
- What is told as heard of a message is what was audible of it, to the millisecond, and its words to the phrase.
- The history says the same, and so does what each new session was told.
- Every turn is answered, but for those that were spoken into a line that was dead for longer than audio is kept for.
- Every request settles once. No server refuses anything that is the client's fault.
- What the session holds does not grow.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from rtcore.sim._audit_text import MOST, words_off
from rtcore.sim.voices import Word

RATE = 24_000
_SLACK_S = 0.1
"""By so much the clocks of sound and journal may differ: a process is held up between an event and the note of it."""
_SIGNATURE = 64
"""So many first bytes tell a message from every other."""
_CARRIED_S = 3.0
"""``reconnect.carry_ms``"""
_NOTICED_S = 0.5
"""So long a word may have begun before anybody has said so."""
_LATEST = 40
_NOBODYS_FAULT = ("response_cancel_not_active", "conversation_already_has_active_response", "session_expired")
_GUESSED_MS = 2_000
"""A verdict that calls itself an estimate, because a busy machine kept the clock's answer back, may be off by this."""
_SETTLED_ENTRIES = 300
"""So many entries more in one quiet moment than in another wait to be settled. What grows slower, ``make soak`` finds."""
_SETTLED_KIB = 768
"""By so much what Python's allocator holds may differ between two quiet moments: sound that waits is not always the same."""


class Sound(Struct, eq=False):
    """One audio part of a message, as a server sent it, and what was audible of it."""

    item: str
    line: "Line"
    order: int
    sent_at: float
    text: str
    words: tuple[Word, ...]
    pcm: bytearray = field(default_factory=bytearray)
    heard: int = 0
    began: float | None = None
    """Seconds of the signal."""


class Line(Struct, eq=False):
    """One session, by its server's journal."""

    began: float
    until: float = 0.0
    session: str = ""
    client: str = ""
    items: list[tuple[str, str | None]] = field(default_factory=list)
    """Its conversation as the client put it together: ids, with the text of what it was told that the model had said."""
    refusals: list[str] = field(default_factory=list)
    expired: bool = False

    @property
    def told(self) -> list[str]:
        """What it was told that the model had said, in the order of the conversation."""
        return [text for _, text in self.items if text is not None]

    def place(self, item: str, text: str | None, previous: str | None) -> None:
        """An item is in the conversation: behind another, first ("root"), or last."""
        ids = [each for each, _ in self.items]
        if item not in ids:
            at = 0 if previous == "root" else ids.index(previous) + 1 if previous in ids else len(ids)
            self.items.insert(at, (item, text))


class Verdict(Struct):
    """One client's call."""

    name: str
    problems: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


def read(path: Path) -> list[Any]:
    """The lines of a file, without one that a SIGKILL cut off."""
    with path.open("rb") as file:
        return [msgspec.json.decode(line) for line in file if line.endswith(b"\n")]


class Truth:
    """What all servers said and were told."""

    def __init__(self, journal: Iterable[dict[str, Any]]) -> None:
        self.lines: dict[int, Line] = {}
        self.sounds: dict[str, list[Sound]] = {}
        parts: dict[tuple[str, int], Sound] = {}
        for entry in journal:
            event = entry["event"]
            line = self.lines.setdefault(entry["line"], Line(entry["at"]))
            line.until = entry["at"]
            if entry["by"] == "client":
                _asked(line, event)
            elif event["type"] == "session.created":
                line.session = event["session"]["id"]
            elif event["type"] == "conversation.item.added":
                line.place(event["item"]["id"], None, event.get("previous_item_id") or "root")
            elif event["type"] == "error":
                error = event["error"]
                line.expired |= error.get("code") == "session_expired"
                line.refusals.append(f"{error.get('code')}: {error['message']}")
            elif event["type"] == "response.output_audio.delta":
                place = event["item_id"], event["content_index"]
                if place not in parts:
                    words = msgspec.convert(entry["words"], tuple[Word, ...])
                    parts[place] = Sound(place[0], line, len(parts), entry["at"], entry["text"], words)
                    self.sounds.setdefault(place[0], []).append(parts[place])
                parts[place].pcm += msgspec.convert(event["delta"], bytes)  # base64

    def of(self, name: str) -> list[Line]:
        """The sessions of one client."""
        return [line for line in self.lines.values() if line.client == name]


def _asked(line: Line, event: dict[str, Any]) -> None:
    if event["type"] == "session.update":
        line.client = event["session"].get("instructions", line.client)
    elif event["type"] == "conversation.item.create":
        item, text = event["item"], None
        if item.get("role") == "assistant":
            text = "".join(part.get("text", "") for part in item["content"])
        line.place(item["id"], text, event.get("previous_item_id"))


class Judge:
    """One client's call, step by step."""

    def __init__(self, name: str, truth: Truth, directory: Path, dead: list[tuple[float, float]]) -> None:
        self.verdict = Verdict(name)
        self._truth, self._dead = truth, dead
        self._records = read(directory / f"{name}.jsonl")
        self._signal = (directory / f"{name}.pcm").read_bytes()
        self._spans = read(directory / f"{name}.spans.jsonl")
        self._lines = truth.of(name)
        self._ended = [each for each in self._records if each["kind"] == "MessageEnded"]
        self._sounded = {each["item_id"] for each in self._ended if each["started_at"] is not None}
        self._opened = min((each["at"] - each["ended"] for each in self._of("turn")), default=0.0)
        """When the signal began, in seconds of the system's clock."""
        self._back = [each for each in self._records if each["kind"] == "Reconnected"]

    def judge(self) -> Verdict:
        """All of it."""
        self._listen()
        self._messages()
        self._history()
        self._sessions()
        self._turns()
        self._requests()
        self._memory()
        return self.verdict

    def _fail(self, text: str) -> None:
        self.verdict.problems.append(text)

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self._records if each["kind"] == kind]

    # -- what was audible ----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        mine = {line.session for line in self._lines}
        fresh = [sound for sounds in self._truth.sounds.values() for sound in sounds if sound.line in self._lines]
        fresh.sort(key=lambda sound: sound.order)
        current: Sound | None = None
        generation = seconds = 0
        for position, of, samples in self._spans:
            pcm = self._signal[2 * position : 2 * (position + samples)]
            seconds += samples
            if of != generation:
                generation, before = of, current
                current = self._next(fresh, pcm, position) or before
            at = 0
            while at < len(pcm):
                taken = 0
                if current is not None:
                    taken = _common(current.pcm, current.heard, pcm[at:])
                    current.heard += taken
                if not taken:
                    current = self._next(fresh, pcm[at:], position + at // 2)
                    if current is None:
                        lost = (len(pcm) - at) // 2
                        self._fail(f"{lost} samples at {(position + at // 2) / RATE:.3f} s are no message's that may follow")
                        break
                at += taken
        self.verdict.figures |= {"sessions": len(mine), "audible_s": round(seconds / RATE)}

    def _next(self, fresh: list[Sound], pcm: bytes, position: int) -> Sound | None:
        """The message that begins here. Those before it, of which nothing was heard, are never heard any more."""
        start = pcm[:_SIGNATURE]
        now = self._opened + position / RATE + _SLACK_S
        found = [sound for sound in fresh if start and sound.sent_at < now and sound.pcm.startswith(start)]
        if not found:
            return None
        # Two sessions may begin to say the same words; where the first of them was not heard by its verdict, it is the other. If
        # that verdict is wrong, it is wrong of both.
        sound = next((each for each in found if each.item in self._sounded), found[0])
        del fresh[: fresh.index(sound) + 1]
        sound.began = position / RATE
        return sound

    # -- what is told of it --------------------------------------------------------------------------------------------------

    def _messages(self) -> None:
        off, guessed = [], 0
        for told in self._ended[: self._finished]:
            sounds = self._truth.sounds.get(told["item_id"], [])
            heard_ms = sum(sound.heard for sound in sounds) // 48
            guessed += told["estimated"]
            if abs(heard_ms - told["heard_ms"]) > (_GUESSED_MS if told["estimated"] else 1):
                self._fail(f"{told['item_id']} was heard for {heard_ms} ms, and {told['heard_ms']} ms are told")
            [sound] = sounds if len(sounds) == 1 else [None]
            if sound is None or told["verdict"] != "partial" or not sound.text.startswith(told["full_text"].strip()):
                continue
            off.append(words_off(told["text"], sound.words, heard_ms, len(told["full_text"])))
            if abs(off[-1]) > MOST:
                self._fail(f"{told['item_id']}: {told['text']!r} is {off[-1]} words off what was heard in {heard_ms} ms")
        twice = [item for item, times in Counter(each["item_id"] for each in self._ended).items() if times > 1]
        if twice:
            self._fail(f"{twice[0]} ended {len(twice)} times")
        told_of = {each["item_id"] for each in self._ended}
        for item, sounds in self._truth.sounds.items():
            if any(sound.heard for sound in sounds) and item not in told_of:
                self._fail(f"{item} was audible, and nothing is told of it")
        exact = sum(each == 0 for each in off)
        self.verdict.figures |= {"messages": len(self._ended), "cut": len(off), "words_exact": exact, "estimated": guessed}

    @property
    def _finished(self) -> int:
        """So many messages ended before the program hung up: what hanging up cuts is reckoned, for nobody waits for a clock."""
        closing = self._of("history")[0]["at"]
        return sum(each["at"] <= closing for each in self._ended)

    def _history(self) -> None:
        [history] = self._of("history")
        held = {item["id"]: item for item in history["items"] if item["role"] == "assistant" and item["type"] == "message"}
        for told in self._ended[: self._finished]:
            item = held.pop(told["item_id"], None)
            if item is None:
                if told["verdict"] != "skipped" and told["text"].strip():
                    self._fail(f"{told['item_id']} was heard, and the history does not have it")
            elif (item["text"], item["heard_ms"], item["verdict"]) != (told["text"], told["heard_ms"], told["verdict"]):
                self._fail(f"{told['item_id']} is another one in the history than when it ended")
        late = {each["item_id"] for each in self._ended[self._finished :]}
        if left := [item for item, about in held.items() if about["verdict"] is not None and item not in late]:
            self._fail(f"{left[0]} stands in the history and never ended")

    # -- each new session ----------------------------------------------------------------------------------------------------

    def _sessions(self) -> None:
        heard = [each["text"] for each in self._ended]
        by_session = {line.session: line for line in self._lines}
        for line in self._lines:
            for text in line.told:
                if text not in heard:
                    self._fail(f"{line.session} was told {text!r}, which was not heard")
            for refusal in line.refusals:
                if not refusal.startswith(_NOBODYS_FAULT):
                    self._fail(f"{line.session} refused: {refusal}")
        for back in self._back:
            line = by_session[back["session_id"]]
            before = [each["text"] for each in self._ended if each["at"] < back["at"] - 0.2 and each["verdict"] != "skipped"]
            wanted = [text for text in before if text.strip()][-_LATEST:]
            if line.until > back["at"] + 1.0 and (missing := [text for text in wanted if text not in line.told]):
                self._fail(f"{line.session} was not told {missing[0]!r}, which was heard")
            told, count = line.told, len(wanted)
            together = any(told[at : at + count] == wanted for at in range(len(told) - count + 1))
            if line.until > back["at"] + 1.0 and not missing and not together:
                self._fail(f"{line.session} was told in another order than was heard, or twice")
        planned = sum(back["planned"] for back in self._back)
        self.verdict.figures |= {
            "reconnected": len(self._back) - planned,
            "renewed": planned,
            "expired": sum(line.expired for line in self._lines),
            "replayed": sum(back["replayed"] for back in self._back),
        }

    # -- turns and requests --------------------------------------------------------------------------------------------------

    def _turns(self) -> None:
        turns = self._of("turn")
        begins = [sound.began for sounds in self._truth.sounds.values() for sound in sounds if sound.began is not None]
        given_up = {each["ended"] for each in self._of("gave up")}
        answered = into_nothing = 0
        for turn, after in zip(turns, [*turns[1:], None], strict=True):
            until = after["began"] if after is not None else float("inf")
            if any(turn["ended"] < began < until for began in begins):
                answered += 1
            elif self._into_nothing(turn):
                into_nothing += 1
            elif turn["ended"] in given_up:
                self._fail(f"the turn that ended at {turn['ended']:.1f} s was never answered")
        cuts = len(self._of("Interrupted"))
        calls = len(self._of("ToolCalled"))
        self.verdict.figures |= {"turns": len(turns), "answered": answered, "into_nothing": into_nothing}
        self.verdict.figures |= {"interruptions": cuts, "calls": calls}

    def _into_nothing(self, turn: dict[str, Any]) -> bool:
        """Whether it was spoken while nobody was there, and over for longer than audio is kept when somebody was again."""
        ended, began = turn["at"], turn["at"] - (turn["ended"] - turn["began"])
        for dead, again in self._dead:
            # A session that was changed for another of the same server meanwhile is as dead.
            back = min((each["at"] for each in self._back if each["at"] > again), default=float("inf"))
            if dead - _NOTICED_S < began < back and ended + _CARRIED_S < back:
                return True
        return False

    def _requests(self) -> None:
        asked = [each["number"] for each in self._of("request")]
        ended = Counter(each["request"] for each in self._of("RequestEnded"))
        for number in asked:
            if ended[number] != 1:
                self._fail(f"request {number} settled {ended[number]} times")
        if twice := [number for number, times in ended.items() if times > 1]:
            self._fail(f"request {twice[0]} settled {ended[twice[0]]} times")
        closed = self._of("SessionClosed")
        if [each["reason"] for each in closed] != ["closed"]:
            self._fail(f"it ended as {[(each['reason'], each['problem']) for each in closed]}")
        outcomes = Counter(each["outcome"] for each in self._of("RequestEnded"))
        self.verdict.figures |= {"requests": len(asked), "outcomes": dict(outcomes)}

    def _memory(self) -> None:
        looks = self._of("memory")
        third = len(looks) // 3
        early, late = looks[third : 2 * third], looks[2 * third :]
        # In a quiet moment nothing waits to be heard: the least of each third is what stays.
        kib, entries = [[min(each[what] for each in part) for part in (early, late)] for what in ("kib", "entries")]
        if kib[1] - kib[0] > _SETTLED_KIB:
            self._fail(f"what Python holds grew from {kib[0]} to {kib[1]} KiB")
        if entries[1] - entries[0] > _SETTLED_ENTRIES:
            self._fail(f"what the session holds grew from {entries[0]} to {entries[1]} entries")
        self.verdict.figures |= {"kib": kib, "entries": entries}


def _common(have: bytearray, start: int, pcm: bytes) -> int:
    """Of so many bytes, in whole samples, the sound goes on like this."""
    want = min(len(pcm), len(have) - start)
    if have[start : start + want] == pcm[:want]:
        return want
    low, high = 0, want  # the first difference lies between
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if have[start : start + middle] == pcm[:middle] else (low, middle)
    return low // 2 * 2
