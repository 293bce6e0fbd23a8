"""What the auditor writes down: responses, items, cuts, flushes and interruptions, as they really were.

Nothing here decides; ``fail`` is the one way in which a broken invariant is recorded. Times are nanoseconds of virtual time,
orders count the server messages that had reached the client.
"""

from collections import deque

from msgspec import Struct, field

from rtcore._formats import AudioFormat
from rtcore._notices import MessageEnded
from rtcore.dialects import Capabilities
from rtcore.sim._here import Here
from rtcore.sim._seen import ClientSeen
from rtcore.sim.matching import Matcher, Place, Segment
from rtcore.sim.results import Violation

ROUNDING = 1_000
"""The core reckons in float seconds: a microsecond is no difference."""
MAX_VIOLATIONS = 40
"""After so many the world is broken, and more would only hide the first."""


class Interruption(Struct, eq=False):
    """One interruption by the user or the program, and what came of it."""

    kind: str
    begun_at: int
    arrived_at: int | None = None
    """When it reached the client."""
    turn_over_at: int | None = None
    """When the user's turn behind it was made."""
    flushes: list[tuple[int, int]] = field(default_factory=list)
    """What it silenced: when it reached the client, and the generation."""
    verdicts: dict[str, int] = field(default_factory=dict)
    errors_ms: list[int] = field(default_factory=list)
    estimated_errors_ms: list[int] = field(default_factory=list)
    misled_errors_ms: list[int] = field(default_factory=list)
    text_errors_words: list[int] = field(default_factory=list)
    unheard_left: int = 0
    server_errors: int = 0
    answered: bool | None = None


class Flushing(Struct, eq=False):
    """A flush that the core asked for."""

    generation: int
    asked_at: int
    answered_at: int | None = None
    settled: bool = False
    """Its own answer came too late, or that to a later one came instead: where the clock stopped was guessed."""
    blind: bool = False
    """No position of what it sounds had been reported by then: how late the device sounds was not known."""

    @property
    def waits(self) -> bool:
        """Neither it nor a later one was answered."""
        return self.answered_at is None and not self.settled


class Snapshot(Struct, gc=False):
    """A segment at the moment of its cut: bytes that had reached the client, and whether its end had."""

    received: int
    complete: bool
    just: int = 0
    """So many of them in the very instant of the cut: whether before it or behind it, is open."""


class Cut(Struct, eq=False):
    """An interruption that left something unheard."""

    at: int
    cause: str
    interruption: Interruption | None
    responses: list["ResponseRecord"]
    since: int
    """When what interrupts reached the core: a voice may be put to the test first."""
    flush: Flushing | None = None
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    """By the id() of the segment."""
    open_items: set[str] = field(default_factory=set)
    """Items to which a part could still have come."""
    texts: dict[str, int] = field(default_factory=dict)
    """Characters of each item's text that had arrived."""
    closed_items: set[str] = field(default_factory=set)
    """Items that were over."""
    checked: bool = False
    estimated: bool = False
    by_button: bool = False
    """It was the user's button."""


class Truncate(Struct, frozen=True):
    """A truncate that the core sent."""

    at: int
    content_index: int
    audio_end_ms: int


class ItemRecord(Struct, eq=False):
    """An item that the model made, as far as the client has seen it."""

    id: str
    type: str
    response: "ResponseRecord"
    announced: bool = False
    announced_at: int = -1
    audio_parts: set[int] = field(default_factory=set)
    done_parts: set[int] = field(default_factory=set)
    done: bool = False
    shown_text: bool = False
    texts_done: set[int] = field(default_factory=set)
    characters: int = 0
    """Of its text, as far as it arrived."""
    audio_at: int = -1
    """When its first audio reached the client."""
    ended_at: int = -1
    segments: list[Segment] = field(default_factory=list)
    truncates: list[Truncate] = field(default_factory=list)
    repeated_unseen: bool = False
    """Truncated once more because the end of its response was only presumed, and nothing came of it since."""
    late_audio: bool = False
    """Audio of it reached the client after the last truncate was sent."""
    deletes: int = 0
    deleted: bool = False
    ended: MessageEnded | None = None
    estimated: bool = False
    """The core marked it so, and the clock had indeed not answered."""
    unsure: bool = False
    """By the clock's words more than one number is possible."""
    call_id: str | None = None
    call_done_at: int = -1
    """When its arguments were complete."""
    call_order: int = 0
    """The how many-th call that was."""
    called: bool = False
    """The program was told of the call."""

    @property
    def call_done(self) -> bool:
        """Its arguments are complete."""
        return self.call_done_at >= 0

    @property
    def guessed(self) -> bool:
        """Its position cannot be compared with the truth: the clock did not say where it stood."""
        return self.estimated or self.unsure or any(segment.inexact and segment.told is None for segment in self.segments)


class ResponseRecord(Struct, eq=False):
    """A response, as far as the client has seen it."""

    id: str
    order: int
    out_of_band: bool = False
    audible: bool = True
    """It enters the speech queue; an out-of-band response does so only if the program wants it."""
    own: bool = False
    """It is the program's own sound, and no server knows of it."""
    known: bool = False
    """Some event of it reached the client ..."""
    known_at: int = -1
    """.. and when the first did."""
    created: bool = False
    doubtful: bool = False
    """It began without ``response.created`` while one was due that had been interrupted: it may be that one, or not."""
    asked_at: int = -1
    """When the client asked for it."""
    begun_at: int = -1
    """When the client first saw it, which is what counts where nothing tells when it was asked for."""
    withdrawn: bool = False
    """What was to be answered was refused: the client may take its request back (F071)."""
    silenced_by: str | None = None
    """Its end told that it had been interrupted before it began: by whom (B15)."""
    done: bool = False
    presumed: bool = False
    """Done only because nothing of it came for so long; its ``response.done`` may still arrive."""
    status: str = ""
    cut: Cut | None = None
    dead: bool = False
    """Cut, or of a request that was interrupted before it became a response."""
    dead_at: int = 0
    heard_out: bool = False
    """All of it had sounded when it was flushed, which the client could not know: where the clock does not answer, it has to
    estimate, and may take it for cut."""
    dead_from: Place | None = None
    cancels: int = 0
    last_audio_at: int = -1
    items: dict[str, ItemRecord] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    """Of which the server has sent audio, whether or not the client has seen it."""


class Creation(Struct, eq=False):
    """A ``response.create`` that has no answer yet."""

    event_id: str | None
    request: str | None
    out_of_band: bool
    sent: ClientSeen
    killed: bool = False
    """Interrupted before it was answered: its response is dead on arrival (B15)."""
    killed_by: str = "program"
    """.. by whom; the program's own interruption is the last word."""
    withdrawn: bool = False
    shown: bool = False
    """Its response has begun without ``response.created``."""
    expired: bool = False
    """The core has given it up: its response is unwanted (B14)."""
    filler: bool = False
    """A few words while a function takes long: whatever comes, is said or cut meanwhile is a reason not to hear them."""
    silent: bool = False
    """Beside the conversation, and not to be heard: no interruption has anything to do with it."""
    doubted: bool = False
    """A refusal that named nothing answered one given up before it: the client may lay it to this one."""


class Edit(Struct, eq=False):
    """A truncate or delete of the core's that has no answer yet."""

    kind: str
    item_id: str
    event_id: str | None
    at: int


class Stream:
    """What was handed to the clock and what it said of it, by the core's effects and the clock's reports alone."""

    def __init__(self) -> None:
        self.generation = 1
        self.handed: dict[int, int] = {}
        self.confirmed: dict[int, int] = {}
        self.begun = 0
        """How many samples of the current generation had been handed over when it last began to sound, from silence."""
        self.faulty = 0
        """The last generation of which the core said that the clock was at fault."""
        self.taken = Place(1, 0)
        """What the core has said it takes as heard, because the clock did not say where it stood."""
        self.dry = 0
        """The last generation that ran dry."""
        self.held = 0
        """The last generation that was paused."""

    @property
    def unconfirmed(self) -> int:
        """Samples of the current generation that the clock has not confirmed."""
        return self.handed.get(self.generation, 0) - self.confirmed.get(self.generation, 0)

    @property
    def unheard(self) -> int:
        """Samples of the current generation that were neither confirmed nor taken as heard."""
        taken = self.taken.sample if self.taken.generation == self.generation else 0
        return self.handed.get(self.generation, 0) - max(self.confirmed.get(self.generation, 0), taken)

    @property
    def end(self) -> Place:
        """Behind the last sample handed over."""
        return Place(self.generation, self.handed.get(self.generation, 0))

    @property
    def guessed(self) -> bool:
        """The core has lately had to guess where the clock stood."""
        # What was put back by a guess may be cut in the next generation before it sounded: then its flush has begun another.
        return self.faulty > 0 and self.faulty >= self.generation - 2


class Ledger:
    """All records of one world."""

    def __init__(self, seed: int, audio: AudioFormat, allowance: int) -> None:
        self.seed = seed
        self.audio = audio
        self.allowance = allowance
        """How long the core waits for a flush's answer."""
        self.stream = Stream()
        self.running: dict[str, ResponseRecord] = {}
        """Those of which something reached the client, and not yet their end."""
        self.alive: dict[str, ResponseRecord] = {}
        """Those that may still be cut."""
        self.runs_text = True
        """The program is told the words as they are heard (``config.playout.heard_text_ms``)."""
        self.remote = False
        """The server sounds the audio by itself."""
        self.able = Capabilities()
        """What the server can do."""
        self.now = 0
        self.order = 0
        self.violations: list[Violation] = []
        self.responses: dict[str, ResponseRecord] = {}
        self.items: dict[str, ItemRecord] = {}
        self.matcher = Matcher(audio.sample_width)
        self.flushes: list[Flushing] = []
        self.waiting: list[Flushing] = []
        """Flushes without an answer."""
        self.cuts: list[Cut] = []
        self.recent: list[Cut] = []
        """The last few of them."""
        self.creations: list[Creation] = []
        self.edits: list[Edit] = []
        self.situations: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.killed_at = -(1 << 62)
        """When a creation was last interrupted before it was answered."""
        self.talking = False
        """The user speaks, as far as the client has been told ..."""
        self.talking_since = 0
        """.. and since when."""
        self.fell_silent = 0
        """When they were last told to speak no more."""
        self.here = Here()
        """What a button and a local detector say of the user."""
        self.commits: deque[int] = deque()
        """The program's commits that have no answer yet, by number ..."""
        self.commits_sent = 0
        """.. and how many there were."""
        self.detects = False
        """The server has found a turn by itself."""
        self.called: set[str] = set()
        """Function calls that the program was given and that have no output yet."""

    def fail(self, invariant: int, text: str, at: int | None = None) -> None:
        """An invariant of DESIGN section 6 is broken."""
        if len(self.violations) < MAX_VIOLATIONS:
            time = self.now if at is None else at
            self.violations.append(Violation(self.seed, invariant, time / 1_000_000_000, text))

    def saw(self, situation: str) -> None:
        """Something worth testing came up."""
        self.situations[situation] = self.situations.get(situation, 0) + 1

    def ms(self, count: int) -> int:
        """Whole milliseconds in ``count`` bytes."""
        return self.audio.ms(count // self.audio.sample_width)

    def flush(self, generation: int) -> Flushing:
        """The core asked for silence."""
        stream = self.stream
        begun = stream.begun if generation == stream.generation else 0
        made = Flushing(generation, self.now, blind=stream.confirmed.get(generation, 0) <= begun)
        self.flushes.append(made)
        self.waiting.append(made)
        return made

    @property
    def flush_open(self) -> bool:
        """Whether a flush has no answer, and the core has no right yet to go on without one."""
        return bool(self.waiting) and any(self.now < f.asked_at + self.allowance - ROUNDING for f in self.waiting)

    @property
    def flush_waits(self) -> bool:
        """Whether a flush has no answer, and the core may still be waiting for it."""
        return bool(self.waiting) and any(self.now <= f.asked_at + self.allowance + ROUNDING for f in self.waiting)

    def response(self, response_id: str) -> ResponseRecord:
        """The record of a response, made at the first sight of its id on the wire."""
        found = self.responses.get(response_id)
        if found is None:
            found = self.responses[response_id] = ResponseRecord(response_id, len(self.responses))
        return found
