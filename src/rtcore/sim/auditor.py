"""Watches everything and believes nobody: the invariants of DESIGN section 6, held against the audible signal and the server's
truth.

The auditor stands between the parts of a world. It sees every message both ways when it leaves and when it arrives, every input
and every effect of the session, and the sound. From these it works out by itself what was heard, what was cut, and what the
server was owed; the core's own counters are compared with that, never used for it.

Invariants 3 and 7 are held here and in ``_audit_cuts``; 1, 2, 9, 10 and 12 in ``_audit_line``; 4, 5, 6 and 11 in
``_audit_edits``; 8 in ``_audit_counts``; 13 in ``_audit_memory``; 14 by comparing digests; 15 by the world, which calms
everything at its end. ``_audit_arrivals`` reads what the server says, ``_audit_clock`` what the clock says;
``_audit_reference`` asks the slow model for a second opinion.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, Protocol

from rtcore._clock import Clock
from rtcore._effects import Connect, Deadline, Disconnect, Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._formats import AudioFormat
from rtcore._items import HistoryItem, SegmentView
from rtcore._notices import (
    AnsweredInText,
    ApprovalRequested,
    AudioHeld,
    AudioReleased,
    ClockFault,
    ContextStale,
    ConversationIdle,
    HeardText,
    HistoryEdited,
    Interrupted,
    MessageEnded,
    MessageStarted,
    MicrophoneDropped,
    Notice,
    RequestEnded,
    ResponseEnded,
    ServerError,
    SessionClosed,
    SessionReady,
    SpeakingStarted,
    SpeakingStopped,
    ToolCalled,
    ToolEnded,
    ToolSlow,
    UserTurnCommitted,
)
from rtcore.dialects import Capabilities
from rtcore.policies import InterruptionOptions
from rtcore.sim._audit_arrivals import Arrivals, Truth
from rtcore.sim._audit_asking import ASKING, AskingAudit
from rtcore.sim._audit_call import CallAudit
from rtcore.sim._audit_clock import ClockAudit
from rtcore.sim._audit_context import ContextAudit
from rtcore.sim._audit_counts import CountAudit
from rtcore.sim._audit_cuts import CutAudit
from rtcore.sim._audit_digest import Digest
from rtcore.sim._audit_echo import EchoAudit
from rtcore.sim._audit_edits import EditAudit
from rtcore.sim._audit_end import EndAudit
from rtcore.sim._audit_figures import figures
from rtcore.sim._audit_fillers import FillerAudit
from rtcore.sim._audit_holds import HoldAudit
from rtcore.sim._audit_idle import IdleAudit
from rtcore.sim._audit_lead import LeadAudit
from rtcore.sim._audit_line import LineAudit
from rtcore.sim._audit_memory import check_memory
from rtcore.sim._audit_microphone import MicrophoneAudit
from rtcore.sim._audit_news import HEARD, NewsAudit
from rtcore.sim._audit_order import OrderAudit, ids_of
from rtcore.sim._audit_pending import PendingAudit
from rtcore.sim._audit_prompt import ASKS, PromptAudit
from rtcore.sim._audit_reference import ReferenceAudit
from rtcore.sim._audit_report import READ, ReportAudit
from rtcore.sim._audit_sounding import SoundingAudit
from rtcore.sim._audit_sync import SyncAudit
from rtcore.sim._audit_text import TextAudit
from rtcore.sim._audit_voice import VoiceAudit
from rtcore.sim._audit_words import WordsAudit
from rtcore.sim._audit_written import WrittenAudit
from rtcore.sim._ledger import ROUNDING, Interruption, Ledger, ResponseRecord
from rtcore.sim._rng import Rng
from rtcore.sim._seen import ClientSeen, ServerSeen, read_client, read_server
from rtcore.sim._server_call import Call
from rtcore.sim._server_truth import ServerResponse
from rtcore.sim.results import KindResult, Violation
from rtcore.sim.speaker import MILLISECOND, SLOW_MS, Report, Speaker, SpeakerOptions
from rtcore.usage import UsageTotals

PENDING_REASONS: dict[int, str] = {}
"""Invariants that this version does not hold in full, and why."""
PENDING = tuple(PENDING_REASONS)
""".. and their numbers."""

_CHECK_AFTER = 5_000 * MILLISECOND
"""A cut is checked at the latest so long after it (invariant 5)."""
_SILENT = 10_000 * MILLISECOND
"""How long nothing may be heard of a response before the core takes it as done (``timeouts.create_ms``)."""
_SAMPLED = 16
"""Every so many steps the session's counts and deadline are looked at, whatever is going on."""
_ABLE = Capabilities()
_ANSWER_SLACK = 150 * MILLISECOND
"""How long the core waits for a flush's answer beyond the declared latency (DESIGN section 3)."""
_REFERRED_PER_MILLE = 125
"""In so many worlds of 1000 with an exact clock the slow reference model runs beside; with any other clock in all."""


class View(Protocol):
    """What it compares of a session with its own records."""

    @property
    def deadline(self) -> Deadline | None:
        """When it wants to be ticked."""

    @property
    def segments(self) -> tuple[SegmentView, ...]:
        """Its sample counts."""

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """The conversation, as it shows it."""

    @property
    def usage(self) -> UsageTotals:
        """What was used, as it adds it up."""


class Auditor:
    """One world's auditor."""

    def __init__(
        self,
        truth: Truth,
        speaker: Speaker,
        *,
        seed: int,
        audio: AudioFormat,
        server_interrupts: bool,
        able: Capabilities = _ABLE,
        ignores: bool = False,
        creates: bool = False,
        answers: bool = True,
        loses: bool = False,
        stall_ms: int = 2_000,
        lead_ms: int | None = None,
        batch_ms: int = 40,
        hold_ms: int = 0,
        call: Call | None = None,
        line_ms: int | None = None,
        tap: str = "off",
        ignored: frozenset[str] = frozenset(),
        phases: bool = True,
        exact: bool = False,
        recreates: bool = False,
        heard_text_ms: int | None = 100,
        interruptions: InterruptionOptions | None = None,
        silence_ms: int = 0,
        transcribes: bool = True,
        manual: bool = False,
        slow_ms: int | None = None,
        half_duplex_ms: int | None = None,
        idle_ms: int | None = None,
        retries_text: bool = False,
        clock: Clock,
    ) -> None:
        """``able``: what the server can do.
        ``ignores``: the session's policy is that speech interrupts nothing (``config.interruption == "ignore"``).
        ``creates``: the server answers turns by itself; ``answers``: the core answers what the server does not
        (``config.answer_turns``). ``stall_ms``: how long a segment may hold up the queue (``config.playout.stall_ms``).
        ``lead_ms``: how much is handed over ahead of what was heard (``config.playout.lead_ms``).
        ``batch_ms``: how much microphone audio goes into one message (``config.microphone.batch_ms``).
        ``hold_ms``: how long the first audio of each response is held back (``config.playout.hold_ms``).
        ``exact``: the core alone creates, after its edits (``config.context``); ``recreates``: a response that the server began
        before them is taken back (``config.stale_context``).
        ``heard_text_ms``: how often the words that were heard are told (``config.playout.heard_text_ms``).
        ``loses``: the device may vanish.
        ``interruptions``: what the session is told of them (``config.interruptions()``), with the silence that ends a turn and
        whether it asks for the user's words; ``manual``: the program makes the turns.
        ``slow_ms``: a function that takes so long is told, and bridged (``config.function_calls.slow_ms``).
        ``idle_ms``: after so long in which nobody said anything the program is told (``config.timeouts.idle_ms``).
        ``half_duplex_ms``: the user is not heard while the model is, and so long behind it (``config.barge_in.tail_ms``).
        ``retries_text``: an answer in text is asked for again (``config.text_answers``).
        ``call``: the line on which the server sounds the audio itself; ``line_ms``: how long that may take to be silenced.
        """
        own_index = able.truncate_content_index == "own"
        allowance = clock.flush_latency_ms * MILLISECOND + _ANSWER_SLACK
        bound = clock.latency_ms + clock.flush_latency_ms + clock.report_ms
        self.ledger = ledger = Ledger(seed, audio, allowance)
        ledger.able = able
        ledger.runs_text = heard_text_ms is not None
        ledger.remote = call is not None
        self.line = LineAudit(
            ledger, truth.items, truth.responses, untold=lambda: truth.untold, server_interrupts=server_interrupts
        )
        believes = _must_be_believed(speaker.options)
        self.reference: ReferenceAudit | None = None
        silent = speaker.options.missing_per_mille or speaker.options.late_per_mille or speaker.options.slow_per_mille
        if call is None and (believes or silent or loses or Rng(seed).fork("reference").chance(_REFERRED_PER_MILLE)):
            self.reference = ReferenceAudit(ledger, clock, believes=believes, own_index=own_index)
        ledger.matcher.lenient = believes
        lies = speaker.options.wrong_per_mille > 0
        self.clock = ClockAudit(ledger, speaker, clock, self.reference, lies=lies)
        self._sound_ends: dict[int, int] = {}
        self.call = (
            CallAudit(
                ledger,
                truth.items,
                call,
                cut=self._cut,
                missing=self._missing,
                server_interrupts=server_interrupts,
                line_ms=line_ms,
            )
            if call is not None
            else None
        )
        self.edits: EditAudit | CallAudit = self.call or EditAudit(
            ledger,
            truth.items,
            self.reference,
            self._sound_ends,
            own_index=own_index,
            clock=clock,
            buffer_ms=speaker.options.buffer_ms + speaker.options.block_ms,
            bound_ms=bound,
            lies=lies,
            losses=speaker.losses if speaker.options.silent_per_mille else (),
        )
        self._text = self.edits.text if isinstance(self.edits, EditAudit) else TextAudit(ledger, truth.items)
        self.line.owed_delete = self.edits.owed_delete
        self.cuts = CutAudit(
            ledger,
            self._before_cut,
            self.reference,
            lambda: speaker.pending,
            ignores=ignores,
            bound=0 if clock.reports else audio.samples(bound + (SLOW_MS[1] if speaker.options.slow_per_mille else 0)),
        )
        self.cuts.remote = call is not None
        self.asking = AskingAudit(
            ledger,
            truth,
            named=self.line.was_issued,
            owed_delete=self.edits.owed_delete,
            creates=creates,
            answers=answers,
            finds=not manual,
            no_turn_ms=(interruptions or InterruptionOptions()).false_interruption_ms,
        )
        self._written = WrittenAudit(ledger, retries=retries_text, owed=self.asking.unheard)
        self._order = OrderAudit(ledger)
        self._prompt = PromptAudit(ledger)
        self.arrivals = Arrivals(ledger, truth, self.line, self.reference, self._order, cut=self.cuts.begin, kill=self.cuts.kill)
        self.arrivals.refused = self.asking.refused
        self.arrivals.elsewhere = call is not None
        self.arrivals.creates = creates
        self.microphone = MicrophoneAudit(ledger, batch_ms=batch_ms, silences=half_duplex_ms is not None)
        self._quiet = (half_duplex_ms or 0) * MILLISECOND
        self._tail = ((half_duplex_ms or 0) + 2 * clock.report_ms + clock.latency_ms + 100) * MILLISECOND
        self.news = NewsAudit(ledger)
        self.words = WordsAudit(ledger, truth.items, truth.responses, tap=tap, ignored=ignored, phases=phases)
        self.end = EndAudit(ledger)
        self.idle = IdleAudit(ledger, idle_ms)
        self.turns = ReportAudit(ledger, clock, self.words.used, exact=not believes)
        self.line.expired = self.asking.expired
        self.arrivals.over = self.asking.over
        self.pending = PendingAudit(
            ledger,
            interruptions or InterruptionOptions(),
            silence_ms=silence_ms,
            transcribes=transcribes,
            manual=manual,
            active=self._active,
            cut=self._cuts_late,
            hold=self.pauses,
            go_on=self.resumes,
            keep=self.cuts.keep_held,
            owed=self.asking.arrived,
            recognised=self.asking.recognised,
        )
        self.echo = EchoAudit(
            ledger,
            interruptions or InterruptionOptions(),
            active=self._anything,
            cut=self._cuts_late,
            owed=self.asking.arrived,
        )
        self.arrivals.voice = lambda item_id: self.pending.voice(item_id) or self.echo.voice(item_id)
        self.asking.undecided = lambda: self.pending.open or self.echo.open
        self.interruptions: list[Interruption] = []
        self.checked = 0
        self._truth = truth
        self._speaker = speaker
        self._width = audio.sample_width
        self._down: deque[ServerSeen] = deque()
        self._up: deque[ClientSeen] = deque()
        self._refusals_read = 0
        self._spans_read = 0
        self._steps = self._history_due = 0
        self._mismatches_read = 0
        self._closed = False
        self._heard_begin = False
        """A local detector told that a person began to speak whose words are not known yet."""
        self._overdue = False
        """A time that was waited for has decided about a voice in this step."""
        self._estimated: set[str] | None = None
        self._started: set[str] = set()
        self.sync_audit = SyncAudit(ledger)
        self.asking.unsettled = self.sync_audit.unsettled
        self._edited: set[str] = set()
        """Items that an edit of the program's, in this step, deletes or creates."""
        self.context = ContextAudit(ledger, self.edits.unheard_left, self.sync, exact=exact, call=call is not None)
        self._recreates = recreates or exact
        self.voice = VoiceAudit(ledger, self.reference)
        self.holds = HoldAudit(ledger, hold_ms, self.sync)
        self.fillers = FillerAudit(
            ledger, slow_ms, self.arrivals.wants_to_hear, undecided=self.asking.undecided, reports=clock.reports
        )
        self.arrivals.sounds = self.holds.audio
        self._counts = CountAudit(
            ledger, speaker, self.cuts, self.reference, stall_ms=stall_ms, withheld=lambda: bool(self.holds.open)
        )
        self._paused: tuple[int, int] | None = None
        """Which generation holds, and since when."""
        self._can_pause = clock.pause
        self.sounding: SoundingAudit | CallAudit = self.call or SoundingAudit(ledger, clock, believes=believes, speaker=speaker)
        self._lead = LeadAudit(ledger, speaker, clock, lead_ms, self.sync)
        self._digest = Digest(seed)
        self._program_deletes: set[str] = set()

    # -- the world tells -----------------------------------------------------------------------------------------------------

    def begin(self, kind: str, now: int) -> Interruption:
        """From here on, what interrupts is an interruption of this kind."""
        self.cuts.current = one = Interruption(kind, now)
        self.interruptions.append(one)
        return one

    def server_sent(self, payloads: Iterable[bytes], now: int) -> list[ServerSeen]:
        """The server put messages on the wire."""
        self.ledger.now = now
        malformed = self._truth.malformed
        seen = [
            ServerSeen(sent_at=now) if malformed and payload in malformed else read_server(payload, now) for payload in payloads
        ]
        self._down += seen
        left = self.arrivals.left
        for message in seen:
            left(message)
        return seen

    def client_receives(self, now: int) -> ServerSeen:
        """The next message reaches the client; the session gets it right after this."""
        ledger = self.ledger
        ledger.now = now
        message = self._down.popleft()
        ledger.order += 1
        message.got_order = ledger.order
        self.arrivals.arrived(message)
        if self._closed:
            return message  # it came together with what ended the session, which says nothing any more
        if message.type == "input_audio_buffer.committed":
            self.asking.committed()
        if not (self.pending.arrived(message) or self.echo.arrived(message)) and message.type in ASKING:
            self.asking.arrived(message)
        if message.type == "response.done":
            self._written.arrived(message)
        self._time()
        self.news.arrived(message)
        self.words.arrived(message)
        self.turns.arrived(message)
        if self.call is not None:
            self.call.arrived(message)
        if message.type == "error":
            self.end.arrived(message)
        if message.type in ASKS:
            self._prompt.arrived(message)
        return message

    def server_receives(self, now: int) -> ClientSeen:
        """The next client message reaches the server."""
        self.ledger.now = now
        return self._up.popleft()

    def server_received(self, cause: ClientSeen | None) -> None:
        """The server has dealt with it: did it refuse anything?"""
        refusals = self._truth.refusals
        if len(refusals) > self._refusals_read:
            for refusal in refusals[self._refusals_read :]:
                self.line.refused(refusal, cause)
                if self.cuts.current is not None:
                    self.cuts.current.server_errors += 1
            self._refusals_read = len(refusals)

    def interrupts(self, cause: str, now: int, response_id: str | None = None, *, by_button: bool = False) -> None:
        """The program, or a local detector, is about to interrupt; ``by_button``: the user, by the program's button."""
        self.ledger.now = now
        if cause == "program" and response_id is None:
            self.asking.dropped()
        if cause == "device":
            self._paused = None
            if self.reference is not None:
                self.reference.estimates.lose()
        self._heard_begin |= cause == "local"
        if cause == "local" and self.pending.voice(None):
            return
        if response_id is None:
            self.pending.ended_by(cause)
            self.echo.ended_by(cause)
        self.cuts.begin(cause, None if response_id is None else (response_id,), by_button=by_button)

    def falls_silent(self, now: int) -> None:
        """A local detector is about to tell that the user does not speak any more."""
        self.ledger.now = now
        self.ledger.here.silent()
        self.turns.ends_turn(now)
        self.pending.silent()
        self._time()

    def ends_turn(self, now: int, *, button: bool = False) -> None:
        """The program is about to say that the user's turn is over; ``button``: by letting go of it."""
        self.ledger.now = now
        if button:
            self.ledger.here.releases()
            self.asking.lets_go()
        self.ledger.here.silent()
        self.turns.ends_turn(now)

    def recognised(self, text: str, now: int) -> None:
        """The program is about to tell what its recogniser heard. It is a voice, whether or not a detector heard it begin."""
        self.ledger.now = now
        if not self._heard_begin:
            self.interrupts("local", now)
        self._heard_begin = False
        self.ends_turn(now)
        self.line.text_typed()
        if not self.pending.understood(text):
            self.asking.recognised(text)
        self.news.recognised(text)

    def pauses(self) -> None:
        """The program is about to pause: a clock that cannot is flushed instead."""
        self.cuts.pausing = True

    def resumes(self) -> None:
        """The program is about to let the sound go on."""
        self.cuts.held = self.cuts.may_hold = self.cuts.pausing = False
        self._counts.released()

    def deletes(self, item_id: str) -> None:
        """The program is about to delete an item."""
        self._program_deletes.add(item_id)

    def wants_to_hear(self, request: int) -> None:
        """The program wants this out-of-band response to be heard."""
        self.arrivals.wants_to_hear(str(request))

    def replayed(self, effects: Sequence[Effect]) -> None:
        """A message of a connection that is gone reached the session."""
        if effects:
            self.ledger.fail(3, f"a message of an old connection caused {type(effects[0]).__name__}")

    def reports(self, report: Report, now: int) -> None:
        """The clock says something; the session hears it right after this."""
        self.ledger.now = now
        self._time()
        if report.kind == "underrun" and report.generation == self.ledger.stream.generation:
            self.turns.runs_dry()
        self.clock.reports(report)

    def did(self, effects: Sequence[Effect], now: int, issued: tuple[int, str] | None = None) -> None:
        """What a call of the session gave back."""
        self.ledger.now = now
        if issued is not None:
            self.line.issued(*issued)
            self.asking.issued(*issued)
        if self.holds.watches:
            self.holds.did({effect.response_id for effect in effects if type(effect) is AudioHeld})
        plain = self.call is None and not self.words.owes
        if plain and len(effects) == 1 and type(effects[0]) is Play and self._nothing_awaited:
            # Most calls that give anything: one more delta is handed over.
            self.cuts.settles = False
            self._digest.add(effects, now)
            self._estimated = None
            self._play(effects[0])
        elif effects:
            handed = self._handed_in_time(effects) if self._overdue else 0
            self.words.did(effects)
            if type(effects[-1]) is SessionClosed and not self.cuts.waits:
                self.cuts.begin("end")
            elif self.arrivals.named is not None:
                if not self.cuts.waits and any(type(effect) in (Flush, Interrupted) for effect in effects):
                    self.cuts.begin("program", (self.arrivals.named.id,))
                self.arrivals.named = None
            self._presumed(effects)
            self.cuts.end(effects[handed:])
            self._take_back(effects)
            self._edited.clear()
            for effect in effects:
                if type(effect) is HistoryEdited:
                    self._edited.update(effect.deleted, effect.created)
                    self._program_deletes.update(effect.deleted)
                elif type(effect) is AnsweredInText and self._written.told(effect):
                    self._program_deletes.add(effect.item_id)
                    self.asking.takes_out(effect.item_id)
            self._digest.add(effects, now)
            self._estimated = None
            self.clock.refer(effects)
            rank = 0
            for effect in effects:
                kind = type(effect)
                if kind is Play:
                    order = 0
                    if handed:
                        handed -= 1
                    else:
                        self._play(effect)  # type: ignore[arg-type]  # narrowed by the line above
                else:
                    order = self._effect(effect, effects)
                if order < rank:
                    self.ledger.fail(7, f"{kind.__name__} after wire or news: silence first, then the wire, then the news")
                rank = order
            self._killed(effects)
            if self.arrivals.stale:
                self._check_stale(effects)
        elif self.words.owes:
            self.words.did(effects)
        if not effects and (self.cuts.waits or self.cuts.pausing):
            self.cuts.end(effects)
            self._without_effects()
        self.pending.did(effects)
        if self.echo.watches:
            self.echo.did(effects)
        if self.fillers.watches:
            self.fillers.did()
        if self._prompt.asked:
            self._prompt.did(effects)
        if self._written.due:
            self._written.did()
        self.clock.excess = self._overdue = False
        if self.news.owed is not None:
            self.news.check()
        if self.end.owed:
            self.end.check()

    def _handed_in_time(self, effects: Sequence[Effect]) -> int:
        """What is due now comes behind what came in now: sound that arrived in this very instant was handed over before the
        decision. Gives of how many effects that is true."""
        count = 0
        while count < len(effects) and isinstance(each := effects[count], Play):
            self._play(each)
            count += 1
        return count

    def _presumed(self, effects: Sequence[Effect]) -> None:
        """The core takes a response as done of whose end it was not told: it has waited long enough for it (F022)."""
        for effect in effects:
            record = self.ledger.responses.get(effect.response_id) if type(effect) is ResponseEnded else None
            if record is not None and not record.done:
                self._check_presumed(record)
                self.arrivals.presumed(record.id)

    def _check_presumed(self, record: ResponseRecord) -> None:
        if record.id in self.arrivals.perhaps:
            return
        since = max(record.dead_at, record.last_audio_at) if record.dead else record.last_audio_at
        if self.ledger.now + ROUNDING < since + _SILENT:
            self.ledger.fail(3, f"{record.id} was taken as done, and nothing said so")

    @property
    def _nothing_awaited(self) -> bool:
        cuts, arrivals = self.cuts, self.arrivals
        return not (cuts.waits or cuts.pausing or cuts.killed or arrivals.named is not None or arrivals.stale)

    def _killed(self, effects: Sequence[Effect]) -> None:
        """What died in this step."""
        killed = self.cuts.killed
        if self.call is not None:
            self.call.did(effects, killed)
        if killed:
            for response in killed:
                self.holds.cut(response)
            self.line.cancels_owed(killed)
            killed.clear()

    def _without_effects(self) -> None:
        self._killed(())
        if self.arrivals.stale:
            self._check_stale(())

    def _check_stale(self, effects: Sequence[Effect]) -> None:
        """A response of the server's own, created before our edits were acknowledged, is marked so at once (DESIGN section 3)."""
        marked = {effect.response_id: effect.recreated for effect in effects if isinstance(effect, ContextStale)}
        for response in self.arrivals.stale:
            if response.id in marked:
                if marked[response.id] is not self._recreates:
                    done = "taken back" if marked[response.id] else "left"
                    self.ledger.fail(5, f"{response.id} is stale and was {done}, against the policy")
            elif not response.dead:
                self.ledger.fail(5, f"{response.id} was created by the server before our edits, and is not marked as stale")
        self.arrivals.stale.clear()

    def _take_back(self, effects: Sequence[Effect]) -> None:
        """The core cancels an answer of the server's that may be made from unheard words, to ask for another after its edits."""
        ledger = self.ledger
        for effect in effects:
            if type(effect) is not ContextStale or not effect.recreated:
                continue
            record, served = ledger.responses.get(effect.response_id), self._truth.responses.get(effect.response_id)
            # One that began without a word, while one of ours was due, may be either.
            if record is None or served is None or (served.cause != "turn" and not record.doubtful):
                ledger.fail(5, f"{effect.response_id} was taken back as stale, and the server did not begin it by itself")
                continue
            self.sync(ledger.now)
            if any(segment.heard for segment in record.segments):
                ledger.fail(5, f"{record.id} was taken back although it had been heard")
            ledger.saw("C16: a stale answer was taken back")
            self.context.taken_back.add(record.id)
            self.cuts.kill(record, ledger.stream.end)
            self.asking.taken_back()

    def accepted(self, response: ServerResponse, now: int) -> None:
        """The server has begun a response of the conversation."""
        self.context.accepted(response, now)

    def ticks(self, now: int) -> None:
        """The session is about to be ticked."""
        self.ledger.now = now
        self._time()

    def _time(self) -> None:
        """What is waited for may be over by now."""
        if self._closed:
            return
        waits, pausing = self.cuts.waits, self.cuts.pausing
        self.pending.time()
        self.echo.time()
        self._overdue = (self.cuts.waits and not waits) or (self.cuts.pausing and not pausing)

    def gives(self, pcm: bytes, now: int) -> None:
        """The microphone is about to give this: has the server to hear it, or silence in its place (F039)?"""
        self.ledger.now = now
        self._time()
        self.microphone.given(pcm, now, self._heard_of_user() if self.microphone.silences else "voice")

    def _heard_of_user(self) -> Literal["voice", "silence", "either"]:
        ledger = self.ledger
        self.sync(ledger.now)
        sounded = ledger.matcher.last_until
        sounds = sounded > ledger.now - 1_000 * MILLISECOND // ledger.audio.rate
        waits = ledger.stream.unconfirmed or ledger.flush_waits
        flush = ledger.flushes[-1] if sounded and ledger.flushes else None
        if flush is not None and flush.answered_at is not None:
            # Where the device stopped, and when, its answer told: until then it may have sounded, and the tail begins there.
            waits = waits or ledger.now <= flush.answered_at + self._quiet + ROUNDING
        if sounds and waits:
            return "silence"
        # Right behind the clock's last word the model is silent, and where there is no tail the user is heard.
        return "either" if waits or (sounded and ledger.now < sounded + self._tail) else "voice"

    def ticked(self, before: Deadline, after: Deadline | None, now: int) -> None:
        """The session was ticked because ``before`` was due."""
        self.ledger.now = now
        self.line.ticked(before, after)

    def checkpoint(self, session: View, now: int) -> None:
        """After each step: what is due to be checked?"""
        self.ledger.now = now
        self._steps += 1
        if self.asking.waits:
            self.line.give_up()
            self.asking.look()
        if not self._steps % _SAMPLED:
            self._look_inside(session)
        if self.idle.watches:
            goes_on = self._goes_on() or self.ledger.called or self.asking.waits
            self.idle.look(busy=bool(goes_on or not self._quiescent() or self.cuts.held))
        if self._order.due:
            self._order.check(ids_of(session))
        unchecked = self.cuts.unchecked
        if not unchecked or not (now >= unchecked[0].at + _CHECK_AFTER or self._quiescent()):
            return
        self._look_inside(session)
        while unchecked and (now >= unchecked[0].at + _CHECK_AFTER or self._quiescent()):
            self.edits.check(unchecked.popleft())
            self.checked += 1

    def look(self, session: View, now: int) -> None:
        """What is the session waiting for at this time, in which nothing else happens?"""
        self.ledger.now = now
        self._look_inside(session)

    def _look_inside(self, session: View) -> None:
        self.sync(self.ledger.now)
        self.line.waiting(session.deadline)
        self.microphone.check(self.ledger.now)
        self.sounding.waiting(session.deadline, held=self.cuts.held)
        self.holds.look()
        self._counts.check(session.segments)
        if self._steps >= self._history_due:
            # The view makes every item anew: it is looked at the more seldom the longer it is.
            history = session.history
            self._history_due = self._steps + len(history)
            self._counts.told(history, session.segments)

    def finish(self, session: View, now: int) -> None:
        """Everything is silent and settled: the last checks before the session is closed."""
        ledger = self.ledger
        ledger.now = now
        self._look_inside(session)
        while self.cuts.unchecked:
            self.edits.check(self.cuts.unchecked.popleft())
            self.checked += 1
        self.line.tools_settled(self._truth.items)
        if self.sounding.speaking:
            ledger.fail(6, "everything is silent, and SpeakingStopped was never told")
        check_memory(session, ledger, list(self.arrivals.conversation), untold=len(self._truth.untold))
        self.edits.history(session.history)
        self.news.history(session.history)
        self.words.finish(session.usage)
        told = [item.id for item in session.history]
        known = set(told)
        order = [item_id for item_id in self._truth.conversation if item_id in known]
        if told != order:
            at = next((at for at, (one, other) in enumerate(zip(told, order, strict=False)) if one != other), len(order))
            text = f"the history is not in the server's order from place {at} on"
            ledger.fail(11, f"{text}: {told[at : at + 2]}, not {order[at : at + 2]}")
        for item in list(ledger.items.values()):
            if item.type != "message":
                continue
            if item.ended is None:
                ledger.fail(6, f"{item.id} never ended")
            if self.edits.unheard_left(item):
                cut = item.response.cut
                if cut is not None and cut.interruption is not None:
                    cut.interruption.unheard_left += 1
                ledger.fail(5, f"{item.id} is left at the server with audio that nobody heard")

    def broken_off(self, session: View, now: int) -> None:
        """The session has ended in the middle of anything: what must hold even so. Call it instead of ``finish``.

        Cuts that were not checked by then do not count as cuts.
        """
        ledger = self.ledger
        ledger.now = now
        self.sync(now)
        self._counts.add_up(session.segments)
        for item in ledger.items.values():
            if item.type == "message" and item.ended is None and item.response.audible:
                ledger.fail(6, f"{item.id} never ended, though the session did")
        for cut in self.cuts.unchecked:
            ledger.cuts.remove(cut)
        self.cuts.unchecked.clear()

    def turn_over(self, now: int) -> None:
        """The user has made a turn: its answer is due."""
        if self.interruptions and self.interruptions[-1].turn_over_at is None:
            self.interruptions[-1].turn_over_at = now

    def closed(self, now: int) -> None:
        """The session was closed."""
        self.ledger.now = now
        self.line.all_settled()
        self.turns.closed()
        if not self._closed:
            self.ledger.fail(2, "close() gave no SessionClosed")

    # -- what came of it -----------------------------------------------------------------------------------------------------

    @property
    def violations(self) -> list[Violation]:
        """The broken invariants."""
        return self.ledger.violations

    @property
    def digest(self) -> str:
        """Of every byte sent and every effect, with its time."""
        return self._digest.value

    def kinds(self) -> tuple[KindResult, ...]:
        """The figures by kind of interruption."""
        return figures(self.interruptions, self._sound_ends, self.ledger.matcher.begins)

    # -- sound ---------------------------------------------------------------------------------------------------------------

    def sync(self, now: int) -> None:
        """Attribute everything that has sounded by now."""
        self._speaker.advance(now)
        spans = self._speaker.spans
        if len(spans) == self._spans_read:
            return
        matcher = self.ledger.matcher
        matcher.consume_all(spans, self._spans_read, self._sound_ends)
        self._spans_read = len(spans)
        if len(matcher.mismatches) > self._mismatches_read:
            for mismatch in matcher.mismatches[self._mismatches_read :]:
                self.ledger.fail(mismatch.invariant, mismatch.text, mismatch.at)
            self._mismatches_read = len(matcher.mismatches)

    def _before_cut(self, now: int) -> None:
        self.sync(now)
        self.sounding.over(held=self.cuts.held)

    def _anything(self) -> bool | None:
        """Whether a voice could cut something: nothing that was given up by now."""
        self.line.give_up()
        return self.cuts.anything()

    def _active(self) -> bool | None:
        """Whether a voice could cut something; a refusal that named nothing may leave the core waiting for what was refused."""
        found = self._anything()
        return None if found is False and self.asking.blind else found

    def _goes_on(self) -> str:
        """What of the conversation is surely under way."""
        ledger = self.ledger
        if self.sounding.speaking:
            return "the model is heard"
        # What comes in the very instant comes after the timers that fall due in it (DESIGN section 2).
        if any(not (each.out_of_band or each.dead) and each.known_at < ledger.now for each in ledger.running.values()):
            return "a response runs"
        talks = ledger.talking and ledger.talking_since < ledger.now
        here = ledger.here.surely(ledger.now) and not ledger.here.just(ledger.now)
        return "the user speaks" if talks or here else ""

    def _quiescent(self) -> bool:
        ledger = self.ledger
        self.line.give_up()
        return not (
            ledger.running
            or any(not c.expired for c in ledger.creations)
            or ledger.edits
            or self.line.requests_open
            or ledger.flush_waits
        )

    def _cut(self, cause: str, responses: Collection[str]) -> None:
        self.cuts.begin(cause, responses)

    def _cuts_late(self, cause: str, since: int, began_at: int) -> None:
        self.cuts.begin(cause, since=since, began_at=began_at)

    def _missing(self) -> None:
        self.asking.missing()

    # -- effects -------------------------------------------------------------------------------------------------------------

    def _effect(self, effect: Effect, effects: Sequence[Effect]) -> int:
        """Anything but ``Play``. Gives its place in the order: silence, wire, news."""
        ledger = self.ledger
        if self._closed:
            ledger.fail(2, f"{type(effect).__name__} after SessionClosed")
        if self.call is not None and isinstance(effect, Flush | Drain | Pause | Resume):
            self.call.sounds(effect)
        match effect:
            case Send():
                message = read_client(effect.payload, ledger.now, ledger.order)
                self._up.append(message)
                if message.type.startswith("input_audio_buffer."):
                    self.microphone.sends(message.type, effect.payload)
                self._sent(message, effects)
                return 1
            case Notice():
                self._noticed(effect, effects)
                return 2
            case Flush():
                self._was_silent()
                self._flush(effect)
            case Play():
                self._play(effect)
            case Pause():
                ledger.stream.held = effect.generation
                self._paused = (effect.generation, ledger.now)
                left = ledger.audio.ms(ledger.stream.unconfirmed)
                ledger.saw("B17: a pause with less than 200 ms left" if left < 200 else "B16: a pause")
                if self.reference is not None:
                    self.reference.estimates.hold(effect.generation, ledger.now)
            case Connect() | Disconnect():
                return 1
            case Resume():
                self._was_silent()
                if self.reference is not None:
                    self.reference.estimates.go_on(effect.generation, ledger.now)
            case Drain():
                pass
        return 0

    def _was_silent(self) -> None:
        """A pause ends: nothing sounded while it held, but for what a late one let through (B16)."""
        paused, self._paused = self._paused, None
        if paused is not None:
            self.sync(self.ledger.now)
            generation, since = paused
            latest = since + (self._speaker.options.late_pause_ms[1] + 1) * MILLISECOND
            if self._sound_ends.get(generation, 0) > latest:
                self.ledger.fail(7, f"generation {generation} sounded on while it was held")

    def _play(self, effect: Play) -> None:
        stream = self.ledger.stream
        if self.call is not None:
            self.call.sounds(effect)
        if self._closed:
            self.ledger.fail(2, "Play after SessionClosed")
        if self.cuts.held and not (self._can_pause and self._paused is not None and self._paused[0] == effect.generation):
            self.ledger.fail(7, f"Play of generation {effect.generation} while the sound is held")
        if effect.generation < stream.generation:
            self.ledger.fail(7, f"Play of generation {effect.generation} after its flush")
            return
        stream.generation = effect.generation
        if self.reference is not None:
            self.reference.play(effect)
        if self._lead.watches:
            self._lead.plays(effect)
        handed = stream.handed.get(effect.generation, 0)
        if stream.confirmed.get(effect.generation, 0) == handed:
            stream.begun = handed
        stream.handed[effect.generation] = handed + len(effect.pcm) // self._width

    def _flush(self, effect: Flush) -> None:
        ledger = self.ledger
        if effect.generation != ledger.stream.generation:
            ledger.fail(7, f"Flush({effect.generation}) while generation {ledger.stream.generation} is current")
        if not ledger.flushes or ledger.flushes[-1].generation != effect.generation:
            self.cuts.flushed(effect.generation)
        if self.reference is not None:
            self.reference.estimates.flush(effect.generation, ledger.now)
            if self.cuts.settles:
                self.reference.fault(effect.generation, flushed=True)
        ledger.stream.generation = effect.generation + 1

    def _sent(self, message: ClientSeen, effects: Sequence[Effect]) -> None:
        self.voice.sent(message)
        match message.type:
            case "input_audio_buffer.append":
                pass
            case "conversation.item.truncate":
                self.sync(self.ledger.now)
                self.edits.truncate(message, self._estimated_in(effects))
            case "conversation.item.delete":
                self.sync(self.ledger.now)
                by_program = message.item_id in self._program_deletes
                self.edits.delete(message, self._estimated_in(effects), asked_by_program=by_program)
            case "response.cancel":
                taken_back = self.line.cancel(message)
                if taken_back is not None:
                    self.cuts.kill(taken_back, self.ledger.stream.end)
                    self.asking.called_back()
            case "response.create":
                self.line.create_response(message)
                self.asking.create_response(message, self.ledger.creations[-1])
                self.fillers.create_response(message, self.ledger.creations[-1])
                self.arrivals.asked(self.ledger.creations[-1])
            case "conversation.item.create" if message.item is not None and message.item.get("id") in self._edited:
                self.line.edited()
            case "conversation.item.create":
                self.line.create_item(message)
                self.turns.output(str((message.item or {}).get("call_id")))
                self.asking.create_item(message)
                self.words.create_item(message)
            case _:
                pass

    def _estimated_in(self, effects: Sequence[Effect]) -> set[str]:
        """The messages whose end, among these effects, is marked as an estimate, where the clock indeed had not answered."""
        if self._estimated is None:
            self._estimated = {
                e.item_id for e in effects if isinstance(e, MessageEnded) and e.estimated and self.clock.owes(e.item_id)
            }
        return self._estimated

    def _noticed(self, notice: Notice, effects: Sequence[Effect]) -> None:
        if type(notice) in READ:
            self.turns.told(notice)
        if type(notice) in HEARD:
            self.news.told(notice)
            if type(notice) is UserTurnCommitted:
                self.idle.touched()
            return
        match notice:
            case HeardText():
                self.sync(self.ledger.now)
                self._text.told(notice)
            case MessageEnded():
                self.sync(self.ledger.now)
                self.voice.message_ended(notice)
                self.edits.message_ended(notice, self.clock.owes(notice.item_id))
                item = self.ledger.items.get(notice.item_id)
                if item is not None and isinstance(self.sounding, SoundingAudit):
                    self.sounding.message_ended(item, notice)
                if item is not None and self.call is not None:
                    self._text.ran(item, notice)
            case RequestEnded():
                self.voice.request_ended(notice)
                self.line.request_ended(notice)
                self.sync_audit.ended(notice)
                self.asking.request_ended(notice)
            case ToolSlow():
                self.fillers.slow(notice)
            case ToolEnded():
                self.fillers.tool_ended(notice)
            case ToolCalled():
                self.line.tool_called(notice)
                self.fillers.tool_called(notice)
                self.asking.tool_called(notice.call_id, notice.response_id)
            case ApprovalRequested():
                self.asking.tool_called(notice.approval_request_id, notice.response_id)
                self.fillers.approval_requested(notice)
            case ServerError():
                self.asking.server_error(notice)
                self.end.error(notice)
            case SessionReady():
                self.asking.ready = True
                self.idle.touched()
                self.microphone.ready()
                self.end.ready()
            case ClockFault():
                self.clock.fault(notice.generation)
            case HistoryEdited():
                self.sync_audit.edited(notice)
            case AudioHeld():
                self.holds.held(notice)
            case AudioReleased():
                self.holds.released(notice)
            case ContextStale():
                self.ledger.saw("C16: context stale")
            case MessageStarted():
                if notice.item_id in self._started:
                    self.ledger.fail(6, f"{notice.item_id} started twice")
                self._started.add(notice.item_id)
                item = self.ledger.items.get(notice.item_id)
                if item is not None:
                    self.sync(self.ledger.now)
                    self.sounding.message_started(item, notice)
                    self.fillers.message_started(item)
            case ConversationIdle():
                self.idle.told(notice, self._goes_on())
            case SpeakingStarted() | SpeakingStopped():
                if type(notice) is SpeakingStopped:
                    self.idle.touched()
                self.sync(self.ledger.now)
                self.sounding.turned(notice, closing=type(effects[-1]) is SessionClosed)
            case Interrupted():
                self.ledger.saw("C02: interrupted")
                if self.reference is not None:
                    self.reference.interrupted(notice)
            case MicrophoneDropped():
                self.microphone.dropped(notice.dropped_ms)
            case SessionClosed():
                self._closed = True
                self.end.closed(notice)
            case _:
                pass


def _must_be_believed(clock: SpeakerOptions) -> bool:
    """Whether this clock's words may differ from the truth, so that they are what the core has to be held against."""
    return bool(clock.wrong_per_mille or clock.marks_ms or clock.silent_per_mille or clock.reports != "all")
