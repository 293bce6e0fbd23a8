"""What kind of call over lines that come back it is, what came of it, and where its auditors write what they found."""

from typing import Literal

from msgspec import Struct, field

from rtcore.sim._rng import Rng
from rtcore.sim.network import NetworkOptions
from rtcore.sim.results import Violation

SECOND = 1_000_000_000
_CALM = 30 * SECOND
_MOST = 20
"""Violations of one call: more than that have few causes."""


class LineOptions(Struct, frozen=True):
    """What kind of call it is. Rates are per 1000, 0: never."""

    seconds: int = 600
    drop_every_s: int = 120
    """A line is lost about so often; 0: never."""
    half_open_per_mille: int = 250
    """So many of the losses are silent."""
    down_per_mille: int = 300
    """So many attempts to dial find nobody."""
    session_s: int = 1800
    """The servers' limit."""
    limit_s: float | None = None
    """The session's own limit, where it renews itself."""
    barge_per_mille: int = 400
    """So many answers are talked over."""
    tool_ms: tuple[int, int] = (20, 4_000)
    call_per_mille: int = 250
    grace_s: float = 20
    """How long a renewal may wait for a quiet moment."""
    network: NetworkOptions = NetworkOptions()
    history: Literal["items", "summary"] = "items"
    """How a new session is told what was said."""
    pending: Literal["again", "fail"] = "again"
    batch_ms: int = 40
    """Of the microphone, in one message; its frames are 40 ms."""
    attempts: int = 100
    poisoned_per_mille: int = 0
    """So many sessions fail whatever they are asked."""
    text_per_mille: int = 0
    """So many new sessions give their first answer as text alone."""
    say_per_mille: int = 0
    """Of quiet moments (five in a second): the program says something of its own."""
    type_per_mille: int = 0
    """Of all moments: the user types."""
    ask_per_mille: int = 0
    """Of quiet moments: the program asks for an answer."""
    aimed_per_mille: int = 0
    """So many acts of the program, and second lines of a renewal, are followed by a loss at once."""
    button: bool = False
    """The person's turns are made by a button; the microphone runs all the same."""
    gone_at_s: int | None = None
    """From then on nobody is there to dial."""
    show_per_mille: int = 0
    """Of quiet moments: the program shows a picture."""
    image_bytes: int = 4_000_000
    """The newest pictures are shown again up to so many (``reconnect.image_bytes``)."""
    turned_away_per_mille: int = 0
    """So many attempts to dial find a server that closes in order on the configuration (F102)."""

    @property
    def calm_at(self) -> int:
        """From then on nothing new goes wrong (nanoseconds), so that the last turn is answered."""
        return self.seconds * SECOND - _CALM

    def gone(self, now: int) -> bool:
        """Whether nobody is there to dial any more."""
        return self.gone_at_s is not None and now > self.gone_at_s * SECOND


class LineResult(Struct):
    """What came of it."""

    seed: int
    problems: list[Violation] = field(default_factory=list)
    seconds: float = 0.0
    turns: int = 0
    answered: int = 0
    failed: int = 0
    """Turns that a server failed to answer, or answered in text alone, and said so: the person says it again."""
    into_nothing: int = 0
    """Turns of which a part was spoken into a dead line, too long before the next to be sent again, and that got no answer."""
    lost: int = 0
    reconnected: int = 0
    renewed: int = 0
    renewed_in_silence: int = 0
    renewal_gaps_ms: list[int] = field(default_factory=list)
    """Where a renewal fell into sound: the silence between what was received before and the sound that went on from there."""
    interruptions: int = 0
    lost_while_sounding: int = 0
    lost_in_a_turn: int = 0
    calls: int = 0
    replayed: int = 0
    dropped_ms: int = 0
    """Microphone audio that the session dropped, and said so."""
    entries: list[int] = field(default_factory=list)
    """What the session held outside of its history, after each time it came back."""
    verdicts: dict[str, int] = field(default_factory=dict)
    truncation_error_ms: dict[int, int] = field(default_factory=dict)
    """By (milliseconds told as heard - milliseconds truly heard), of messages that were heard in part."""
    server_errors: dict[str, int] = field(default_factory=dict)
    situations: dict[str, int] = field(default_factory=dict)
    digest: str = ""


class Book:
    """The time, and what was found until then."""

    def __init__(self, seed: int) -> None:
        self.result = LineResult(seed)
        self.now = 0

    @property
    def seconds(self) -> float:
        """``now`` as the session and the servers are told it."""
        return self.now / SECOND

    def fail(self, invariant: int, text: str) -> None:
        """An invariant of DESIGN section 6 is broken."""
        problems = self.result.problems
        if len(problems) < _MOST:
            problems.append(Violation(self.result.seed, invariant, self.seconds, text))

    def saw(self, situation: str, count: int = 1) -> None:
        """Something worth testing came up."""
        if count:
            situations = self.result.situations
            situations[situation] = situations.get(situation, 0) + count


PER_MILLE = 60
"""So many seeds of a campaign are calls over lines that come back."""


_BUTTON = 250
"""So many of them in a thousand have a button."""


def comes_back(seed: int) -> bool:
    """Whether a campaign's world of this seed is a call over lines that come back; drawn from a stream that nobody else uses."""
    return Rng(seed).fork("lines that come back").chance(PER_MILLE)


def draw_lines(seed: int) -> LineOptions:
    """What such a world draws for itself: some minutes in which much is lost."""
    rng = Rng(seed).fork("options of lines")
    pictures = Rng(seed).fork("pictures on lines")
    turned = Rng(seed).fork("turned away")
    shows = pictures.chance(200)
    renews = rng.chance(450)
    poisoned = rng.chance(350)
    return LineOptions(
        seconds=rng.between(120, 240),
        drop_every_s=0 if renews and rng.chance(300) else rng.between(30, 60),
        half_open_per_mille=rng.choice((0, 250, 500)),
        down_per_mille=rng.choice((0, 300, 600)),
        session_s=rng.choice((1800, 1800, rng.between(60, 120))),
        limit_s=float(rng.between(20, 60)) if renews else None,
        barge_per_mille=rng.choice((200, 400, 800)),
        tool_ms=rng.choice(((20, 500), (20, 4_000), (2_000, 12_000))),
        call_per_mille=rng.choice((100, 300, 600)),
        grace_s=float(rng.choice((2, 10, 20))),
        network=NetworkOptions(latency_ms=rng.choice((5, 30, 120)), jitter_ms=rng.choice((0, 10, 60))),
        history=rng.choice(("items", "items", "items", "summary")),
        pending=rng.choice(("again", "again", "fail")),
        batch_ms=rng.choice((40, 100, 100)),
        attempts=rng.choice((5, 12, 100)),
        poisoned_per_mille=400 if poisoned else 0,
        text_per_mille=rng.choice((0, 400)),
        say_per_mille=rng.choice((0, 15, 40)),
        type_per_mille=rng.choice((0, 5, 10)),
        ask_per_mille=rng.choice((0, 10, 30)),
        aimed_per_mille=rng.choice((0, 150, 300)),
        gone_at_s=rng.between(60, 110) if rng.chance(150) else None,
        button=Rng(seed).fork("button of lines").chance(_BUTTON),
        show_per_mille=pictures.choice((10, 30)) if shows else 0,
        image_bytes=pictures.choice((0, 6_000, 6_000, 4_000_000)) if shows else 4_000_000,
        turned_away_per_mille=turned.choice((150, 400)) if turned.chance(100) else 0,
    )
