"""What a campaign must have met: fuzzing that never reached a situation proves nothing about it.

Each entry is a situation that the auditor recognises by itself or a part of the world counts (a fault that struck), the ids of
the behaviours and failures that it stands for, and how often a million interruptions have to meet it at least. The minimum is
about a quarter of what was measured, so that chance does not break a campaign and a hole in the world does.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from rtcore.sim.faults import FAULTS

_MILLION = 1_000_000
_WARM_UP = 5_000
"""Worlds come in lumps: so few interruptions prove nothing about what was missed."""


class Sometimes(Struct, frozen=True):
    """One situation: ``id`` is its key in ``situations``, ``covers`` names behaviours (B, C, S) and failures (F)."""

    id: str
    what: str
    covers: tuple[str, ...]
    per_million: int
    """At least so often in a million interruptions."""

    def least(self, interruptions: int) -> int:
        """How often a campaign of so many interruptions must have met it: nothing is demanded of the first 5,000."""
        return max(0, interruptions - _WARM_UP) * self.per_million // _MILLION


class Met(Protocol):
    """What is asked of a result: how large the campaign was, and what came up."""

    @property
    def interruptions(self) -> int:
        """How many interruptions there were."""

    @property
    def situations(self) -> Mapping[str, int]:
        """How often each situation came up."""


_LINES: tuple[Sometimes, ...] = (
    Sometimes("lines: lost", "a line was lost in the middle of a call", ("B24", "F085", "F093"), 1_500),
    Sometimes("lines: lost without a word", "half-open: noticed after 20 to 40 s", ("B24", "F095"), 380),
    Sometimes("lines: lost while the model was heard", "what was received goes on sounding", ("S08", "B24"), 600),
    Sometimes("lines: lost while the program was heard", "a clip of its own goes on sounding", ("S08", "F150"), 35),
    Sometimes("lines: an answer was cut off", "it is asked for again", ("S08", "B24"), 100),
    Sometimes("lines: lost in a turn", "the person was speaking", ("S08", "F087"), 200),
    Sometimes("lines: lost while a tool ran", "its result is told with its call, to another session", ("B23", "B24"), 130),
    Sometimes("lines: an utterance carried over", "a turn that a server had noticed goes on at the next", ("S08", "F087"), 300),
    Sometimes("lines: a turn spoken into nothing", "into a dead line, longer ago than is carried", ("F087",), 30),
    Sometimes("lines: typed while the line was away", "it is sent when there is one again", ("B24", "F097"), 220),
    Sometimes(
        "F102: a server closed on the configuration",
        "it is told as that, and dialled again within the budget",
        ("F102", "B25"),
        200,
    ),
    Sometimes("lines: nobody was there to dial", "the wait grows", ("B25", "F086"), 1_200),
    Sometimes("F091: connected, and lost before a response was completed", "the row of attempts goes on", ("F091", "B25"), 300),
    Sometimes("B25: the budget of attempts was spent", "the session ends, and says so", ("B25", "F086"), 60),
    Sometimes("B24: a request for an answer was pending at the loss", "it settles once", ("B24",), 25),
    Sometimes("B24: a typed text was pending at the loss", "its request settles once", ("B24",), 120),
    Sometimes("lines: told as items", "a new session is told what was heard", ("B23", "S08", "F088"), 1_500),
    Sometimes("lines: told as a summary", "the same in one message", ("B23", "S08"), 300),
    Sometimes("lines: a picture was shown", "by the program, in a call that may be lost at any moment", ("F110", "C27"), 400),
    Sometimes("lines: a picture was shown again", "to a new session, as it was", ("B23", "S08"), 180),
    Sometimes("lines: that there was a picture was told", "in the place of one that is too old to be shown", ("B23", "S08"), 55),
    Sometimes("lines: an answer in text after a replay was asked for again", "once", ("F140",), 300),
    Sometimes("lines: a server ended its session", "at its limit, while the call goes on", ("C27", "F085"), 25),
    Sometimes("lines: renewed in silence", "at a quiet moment, without a gap", ("B26",), 400),
    Sometimes("lines: renewed in sound", "no quiet moment came in time", ("B26",), 170),
    Sometimes("lines: the second line did not come up", "the first goes on meanwhile", ("B26",), 600),
    Sometimes("lines: the present line was lost while a second came", "the second takes its place", ("B26", "B24"), 130),
    Sometimes("F092: a poisoned session was renewed", "it failed three times in a row", ("F092",), 180),
    Sometimes("lines: lost while the button was down", "the turn goes on at the next server", ("S08", "F125"), 5),
    Sometimes("lines: lost before a turn of the button was committed", "no server is known to have it", ("S08", "B24"), 10),
    Sometimes("lines: a turn of the button said again", "whole, before its answer is asked for", ("S08", "B24"), 10),
)
"""What the worlds in which lines come back count (``rtcore.sim.lines``)."""

SITUATIONS: tuple[Sometimes, ...] = (
    *_LINES,
    Sometimes(
        "B01: truncated at the very millisecond",
        "the clock answered, and the server was told what was heard",
        ("B01", "F011", "F012"),
        150_000,
    ),
    Sometimes("B02: cut one sample before the end", "all of a message but its last sample was heard", ("B02",), 3_400),
    Sometimes("B03: a cut before the item was announced", "its item was not in the conversation yet", ("B03", "S03"), 13_000),
    Sometimes("B03: announced when its delete was due", "a second after the cut, its response still running", ("B03",), 250),
    Sometimes("B03: cut after one sample", "a single sample of a message was heard", ("B03", "F010"), 3_300),
    Sometimes("B05: cut between two messages", "one message was heard to its end, the next not at all", ("B05", "F002"), 5_300),
    Sometimes("B07: a cancel that is ours to send", "the server does not interrupt by itself", ("B07", "C13", "F004"), 38_000),
    Sometimes("B07: the server's own cancel was missing", "it interrupts by itself, and did not", ("B07",), 1_200),
    Sometimes(
        "B08: the next response began before the last cut was settled",
        "a flush was unanswered when it was created",
        ("B08",),
        17_000,
    ),
    Sometimes(
        "B09: a cut after response.done, with sound left",
        "everything was generated, and not everything heard",
        ("B09", "C06", "F029"),
        130_000,
    ),
    Sometimes("B10: late audio after a cut", "deltas of a response that was cut", ("B10", "C10", "F035", "F036"), 120_000),
    Sometimes("B11: audio while two responses run", "deltas of two responses at once", ("B11",), 56_000),
    Sometimes("B11: two responses cut at once", "one barge-in cut two responses", ("B11", "F055"), 11_000),
    Sometimes("B12: an out-of-band response beside another", "it began while another ran", ("B12", "C17"), 4_300),
    Sometimes(
        "B13: a creation that lost the race", "refused, because the server had begun a response of its own", ("B13", "C15"), 1_300
    ),
    Sometimes("B13: the server's own creation was refused", "its automatic answer met a running response", ("B13",), 4_200),
    Sometimes("B14: created after the deadline", "nobody waits for it any more", ("B14", "F034", "F061"), 900),
    Sometimes("B15: response dead on arrival", "interrupted before it was created", ("B15", "F035"), 11_000),
    Sometimes("B16: a pause", "the sound was held", ("B16", "C20"), 5_700),
    Sometimes("B17: a pause with less than 200 ms left", "the sound was held at its tail", ("B17",), 830),
    Sometimes(
        "B18: a false interruption", "the sound was held, and went on with the next sample", ("B18", "F121", "F120"), 3_000
    ),
    Sometimes(
        "B18: a turn was committed while the sound was held", "the commit wins: cut at the held sample", ("B18", "B17"), 3_500
    ),
    Sometimes("B19: speech as long as the minimum, or with words enough", "cut before it ended", ("B19",), 3_000),
    Sometimes("B19: nothing but backchannels, or no word at all", "its words tell that it was nothing", ("B19", "F121"), 250),
    Sometimes("F121: a slow word interrupts after all", "its words came when the sound had gone on", ("F121",), 400),
    Sometimes("B20: cut at the very end", "the last sample sounded, and the cut came", ("B20",), 38_000),
    Sometimes("B21: the history holds less than was said", "the heard words of a message that was cut", ("B21", "F112"), 150_000),
    Sometimes("B22: a history synchronised", "the program wants a list of its own", ("B22", "F107"), 500),
    Sometimes("B22: an unchanged history costs nothing", "its list says what is so already", ("B22",), 100),
    Sometimes("F067: what is being said or heard stays", "an edit leaves it alone", ("F067",), 20),
    Sometimes("B27: a message that cannot be read", "it means nothing, and nothing may come of it", ("B27", "C29"), 54_000),
    Sometimes("B28: a tool's result while sound is left", "the preamble still played", ("B28", "F066"), 14_000),
    Sometimes("B29: a flush answered too late", "after the core had gone on with its estimate", ("B29", "C21"), 4_000),
    Sometimes("B29: a flush answered twice", "the second answer means nothing", ("B29", "C21"), 5_600),
    Sometimes("B29: a flush never answered", "a later one was, or none", ("B29", "F031"), 2_000),
    Sometimes(
        "B29: a lost answer made up for by the next", "a later flush was answered while it was waited for", ("B29", "C21"), 1_300
    ),
    Sometimes("B29: the core named a fault of the clock", "no answer, no report, or an impossible one", ("B29", "F031"), 11_000),
    Sometimes(
        "C02: heard in part, the next not at all",
        "the first is truncated, the second deleted",
        ("C02", "B04", "F024", "F026"),
        35_000,
    ),
    Sometimes("C02: interrupted", "a cut left something unheard", ("C02", "F128"), 200_000),
    Sometimes(
        "C03: the second heard in part, the first in full", "the position is the second's own", ("C03", "B06", "F024"), 24_000
    ),
    Sometimes(
        "C04: a cut between declaration and audio",
        "a part was declared, and no sample of it had come",
        ("C04", "S03", "F001"),
        32_000,
    ),
    Sometimes("C05: nothing heard of what was received", "deleted, not truncated", ("C05", "B03"), 20_000),
    Sometimes("C07: a barge-in when all was heard", "no interruption at all", ("C07", "B22", "F002"), 100_000),
    Sometimes("C08: a report above what was handed over", "clamped, and told once", ("C08", "B02"), 750),
    Sometimes(
        "C09: a truncate beyond what the server holds",
        "the server holds less than it sent, and refused what was heard",
        ("C09", "F005", "F006", "F007"),
        2_400,
    ),
    Sometimes(
        "C10: a repeated truncate that the server refused", "it had dropped the late audio by itself", ("C10", "C09"), 1_900
    ),
    Sometimes("C10: truncate repeated for late audio", "the server generated on after the truncate", ("C10",), 9_500),
    Sometimes("C11: a cut while a flush is unanswered", "the second barge-in before the first was settled", ("C11",), 9_500),
    Sometimes("C11: a cut while an edit is in flight", "a truncate or delete was not acknowledged yet", ("C11", "C24"), 3_200),
    Sometimes("C11: double barge-in", "two within 200 ms", ("C11",), 8_700),
    Sometimes(
        "C12: a cancel of ours at a server that interrupts by itself",
        "the program, the text or a local detector interrupted",
        ("C12", "B07", "F037", "F052"),
        14_000,
    ),
    Sometimes("C13: a cut in a session with manual turns", "the server finds no turns", ("C13",), 46_000),
    Sometimes("C14: a cancel that lost the race", "the response had ended when it came", ("C14",), 9_600),
    Sometimes(
        "C14: two cancels at once, one of which comes too late",
        "the error does not say which, and the other is still in flight",
        ("C14", "F057"),
        300,
    ),
    Sometimes("C14: a cancel of what had ended untold", "its refusal frees the slot", ("C14", "F022", "F050"), 1_100),
    Sometimes("C15: an answer asked for while a response runs", "it has to wait for its turn", ("C15", "B13", "F045"), 25_000),
    Sometimes("C16: a tool's result while the user speaks", "the output goes out, the answer waits", ("C16",), 3_500),
    Sometimes(
        "C16: a tool's result while a local detector hears the user", "nothing is said over the person", ("C16", "F044"), 400
    ),
    Sometimes("C16: a tool's result while the button is down", "nothing is said over the person", ("C16", "F125"), 50),
    Sometimes("C16: context stale", "the server answered before our edits", ("C16",), 10_000),
    Sometimes(
        "C16: the model saw words that nobody heard", "the server was asked by a turn before our edits came", ("C16",), 5_000
    ),
    Sometimes("C16: a stale answer was taken back", "cancelled unheard, and asked for again after our edits", ("C16",), 500),
    Sometimes("C15: a request superseded by a later one", "the answer to both is one", ("C15", "F060"), 100),
    Sometimes("C17: an out-of-band response ended while another ran", "the other goes on", ("C17",), 3_300),
    Sometimes(
        "C17: an out-of-band response cut while it was heard", "nothing of it is edited in the conversation", ("C17", "B12"), 700
    ),
    Sometimes("C18: a response ended twice", "its end came again", ("C18",), 2_100),
    Sometimes("C18: the end of a response that never began", "no response.created, no item", ("C18",), 2_300),
    Sometimes("C19: underrun before a cut", "the clock ran dry in the generation that was cut", ("C19",), 13_000),
    Sometimes("C20: a pause before a cut", "the sound was held in the generation that was cut", ("C20", "F080"), 6_000),
    Sometimes("C21: a stale report", "of a settled generation, or smaller than before", ("C21",), 170_000),
    Sometimes("C22: half a sample carried", "a delta ended in the middle of a sample", ("C22", "B27"), 37_000),
    Sometimes("C23: a later content part truncated", "not the first part of its item", ("C23", "F163"), 2_800),
    Sometimes("C25: the user's words came after the answer began", "a late transcript finds its item", ("C25", "F103"), 110_000),
    Sometimes("C26: a cut while a function runs", "its result comes after the interruption", ("C26",), 17_000),
    Sometimes(
        "F074: a call was told while the words before it sounded",
        "as soon as it is complete, in that order",
        ("F074", "B28"),
        17_000,
    ),
    Sometimes("F076: a result that is no text", "encoded once", ("F076",), 40_000),
    Sometimes("C26: several calls in one response", "one answer for all of them", ("C26",), 7_900),
    Sometimes("C26: a function takes long, and the program is told", "once, when it is slow", ("C26", "B28"), 4_000),
    Sometimes("C26: words while a function takes long", "a filler, into silence", ("C26", "B28"), 1_500),
    Sometimes("C26: the result came before the words that bridge it", "they are not heard any more", ("C26", "B28"), 500),
    Sometimes("F039: half duplex, the model is heard and not the user", "silence in the place of the voice", ("F039",), 10_000),
    Sometimes("F039: half duplex, the model is silent and the user heard", "every sample of the turn", ("F039",), 10_000),
    Sometimes("F118: a voice within the guard, ignored", "it is nothing, and not answered", ("F118",), 1_000),
    Sometimes("F118: a voice within the guard, deferred", "it counts if it goes on", ("F118",), 4_000),
    Sometimes("F118: it went on when the guard was over", "an interruption after all", ("F118",), 4_000),
    Sometimes("F118: cuts repeat without a turn, and the guard backs off", "and the program is told", ("F118",), 100),
    Sometimes(
        "F130: nobody has said anything, and the program is told", "once, and not while anything goes on", ("F130",), 2_000
    ),
    Sometimes("F054: a voice that interrupts nothing", "the policy is to ignore it", ("F054",), 1_000),
    Sometimes("F010: a cut in the instant of the first audio", "zero is a position", ("F010",), 2_800),
    Sometimes("F015: an empty transcript closed a part that had words", "its words stay", ("F015", "C24"), 12_000),
    Sometimes(
        "F085: told by an error", "the session had its time, and an error with a code said so", ("F085", "C27", "B25"), 300
    ),
    Sometimes("F085: told by the text of an error", "the error had no code", ("F085", "C27", "B25"), 100),
    Sometimes("F085: told by the close frame alone", "nothing else said why the server hung up", ("F085", "C27", "B25"), 120),
    Sometimes(
        "F022: the end of a response that had passed for ended",
        "the line stood still for longer than the core waits",
        ("F022",),
        14,
    ),
    Sometimes("F064: a tool's result after the cut of its response", "it is sent all the same", ("F064", "C26"), 8_800),
    Sometimes("F108: an announcement that names a deleted item", "it belongs where that one was", ("F108", "C25"), 150),
    Sometimes(
        "F113: an acknowledgement came again while another edit was in flight", "it answers nothing", ("F113", "F108"), 8_000
    ),
    Sometimes("F069: a result after its call was given up", "it is refused, and says why", ("F069", "F065"), 300),
    Sometimes("F150: sound of the program's own, heard to its end", "every sample once, in its turn", ("F150",), 1_000),
    Sometimes("S04: sound of the program's own, cut while it was heard", "a verdict, and no truncate", ("S04", "B12"), 100),
    Sometimes("S04: sound of the program's own, cut before it was heard", "skipped, and no delete", ("S04", "B12"), 100),
    Sometimes("F161: audio held back for a guardrail", "nothing of it is handed to the clock", ("F161",), 1_000),
    Sometimes("F161: cut before a word was heard", "the guardrail was in time", ("F161",), 50),
    Sometimes("F161: let go by the program", "the guardrail has nothing against it", ("F161",), 500),
    Sometimes("F161: let go by time", "the guardrail was too slow", ("F161",), 100),
    Sometimes(
        "F090: a message of a connection that is gone", "it comes once more, and nothing may come of it", ("F090", "B24"), 50_000
    ),
    Sometimes("words: a remote call was run", "its output is told once", ("C26",), 2_500),
    Sometimes("words: a remote call failed", "its problem is told once", ("C26",), 1_500),
    Sometimes("words: a remote call was cut", "it never ran, and the program is told so", ("C26",), 200),
    Sometimes("F140: an answer in text, told to the program", "nobody hears it", ("F140", "F142"), 4_000),
    Sometimes("F140: an answer in text, asked for again", "it is deleted, and asked for once more", ("F140",), 1_000),
    Sometimes("words: the program is asked for its approval", "it is answered once", ("C26", "F062"), 1_000),
    Sometimes("words: an event that nobody knows", "told whole, and nothing comes of it", ("B27", "C29"), 30_000),
    Sometimes("words: fields that nobody knows, named by the tap", "and no others", ("B27", "C29"), 1_000),
    Sometimes("words: a raw event was refused", "and nothing else changed", ("B27", "F007"), 3_500),
    Sometimes("words: the phase of a message", "commentary or final answer, as the model says", ("S01",), 50_000),
    Sometimes("call: heard to its end", "the server sounds the audio, and said that it had stopped", ("F030", "F031"), 4_000),
    Sometimes("call: cut by us", "what the server sounded was cleared", ("F030", "B07"), 2_600),
    Sometimes("call: cut before it sounded", "generated, cleared, and perhaps begun meanwhile", ("F030", "B03"), 1_000),
    Sometimes("call: cut, and the server said where", "its word is the truth", ("F030", "B01"), 5_700),
    Sometimes("call: cut, and the server did not say where", "the time it sounded stands for it", ("F030", "B29"), 2_200),
    Sometimes("call: stopped as we cut it", "the news that all of it had sounded was on its way", ("F030", "C07"), 300),
    Sometimes("call: what was cut began to sound", "it is cleared then", ("F030", "B10"), 350),
    Sometimes("S03: a part began after the cut of its response", "what it is shows only now", ("S03", "C04"), 11_000),
    Sometimes("S04: cut in the second of three messages", "full, partial and skipped in one response", ("S04", "F021"), 4_100),
    Sometimes("S05: nothing was heard of words that had come", "none of them are told", ("S05",), 65_000),
    Sometimes("S05: the words that were heard, and no more", "the text of a message heard in part", ("S05",), 120_000),
    Sometimes("S06: a response failed in silence", "with an error, before its first sample", ("S06",), 520),
    Sometimes("S06: a response failed while it was heard", "with an error, and what was said counts", ("S06",), 2_000),
    Sometimes("B30: words were told while they sounded", "the running text of a message", ("B30", "C24", "F105"), 500_000),
    Sometimes("F105: words came behind their own sound", "the transcript lags", ("F105", "B30"), 900),
    Sometimes("S07: the audio ended before its text", "the order of the two ends is open", ("S07",), 300_000),
    Sometimes("S07: the text ended before its audio", "the order of the two ends is open", ("S07",), 110_000),
)
"""What the auditor recognises by itself."""

_FAULTS: dict[str, int] = {
    "program: image": 5_000,
    "program: input of its own": 1_000,
    "program: logprobs": 15_000,
    "program: raw event": 3_500,
    "program: stored prompt": 700,
    "program: tap": 8_000,
    "server: idle time-out": 100,
    "server: only transcribes": 4_000,
    "server: remote tools": 3_500,
    "user: presses keys": 12_000,
    "network: cut mid-frame": 340,
    "network: half-open": 510,
    "network: jitter": 3_200_000,
    "network: latency": 4_700_000,
    "network: merge": 1_100_000,
    "network: slow reader": 720_000,
    "network: split": 3_900_000,
    "network: stall": 10_000,
    "program: answer to a dead call": 9_600,
    "program: failing tools": 2_100,
    "program: guardrail": 1_000,
    "program: own voice": 1_000,
    "program: tools given up": 300,
    "program: echo guard": 1_000,
    "program: half duplex": 1_000,
    "program: told of silence": 2_000,
    "program: mute": 1_000,
    "program: words for a wait": 4_000,
    "user: own recogniser": 1_500,
    "program: history edits": 11_000,
    "program: history synchronised": 500,
    "program: interrupt before response.created": 3_800,
    "program: out-of-band response": 7_500,
    "program: pauses": 20_000,
    "program: slow tools": 980,
    "program: stops listening": 6_000,
    "program: update in mid-response": 3_500,
    "server: bursts": 24_000,
    "server: cascade before speech_started": 11_000,
    "server: duplicate event": 40_000,
    "server: empty audio": 7_200,
    "server: error without event_id": 2_300,
    "server: error behind its response": 1_400,
    "server: failed response": 2_700,
    "server: fewer samples than announced": 6_500,
    "server: filtered response": 2_600,
    "server: incomplete response": 3_000,
    "server: interleaved items": 24_000,
    "server: late announcement": 22_000,
    "server: late deltas": 22_000,
    "server: malformed event": 54_000,
    "server: missing response.created": 9_600,
    "server: missing response.done": 1_900,
    "server: odd bytes": 6_200,
    "server: overlapping responses": 1_000,
    "server: preview dialect": 2_300,
    "server: rejection": 2_000,
    "server: reordered output_item.done": 5_000,
    "server: session end": 560,
    "server: several function calls": 8_200,
    "server: slot held by nothing": 6_000,
    "server: slow to begin": 1_700,
    "server: slow cancel": 6_500,
    "server: sounds by itself": 10_000,
    "server: text-only answer": 3_800,
    "server: two audio parts": 7_100,
    "server: unknown event": 59_000,
    "speaker: counted padding": 3_000,
    "speaker: device lost": 1_400,
    "speaker: drift": 48_000,
    "speaker: echo": 5_000,
    "speaker: duplicate answer": 4_900,
    "speaker: falls silent": 20_000,
    "speaker: large buffer": 33_000,
    "speaker: late answer": 2_300,
    "speaker: late pause": 970,
    "speaker: marks only": 5_600,
    "speaker: missing answer": 2_000,
    "speaker: no pause": 5_700,
    "speaker: no reports": 4_800,
    "speaker: slow answer": 1_900,
    "speaker: stale report": 84_000,
    "speaker: underrun": 49_000,
    "speaker: wrong answer": 1_800,
    "user: backchannel": 3_200,
    "user: between two deltas": 9_600,
    "user: cough": 3_500,
    "user: end of an item": 7_800,
    "user: hang-up": 430,
    "user: button": 3_000,
    "user: pressed twice": 2_100,
    "user: silence": 1_300,
    "user: typed text while the model speaks": 21_000,
    "user: while a truncate is in flight": 10_000,
    "user: with nothing queued": 2_600,
}
"""How often each fault has to strike: fault, and the least number in a million interruptions."""

SOMETIMES: tuple[Sometimes, ...] = SITUATIONS + tuple(
    Sometimes(fault.name, fault.means, fault.serves, _FAULTS[fault.name]) for fault in FAULTS
)
"""Everything that has to come up."""


UNREACHED: dict[str, str] = {
    "S10": "the options of speech to text are no situation of an interruption; tests of configuration and dialects show them",
}
"""Behaviours that no campaign meets, and why: tests alone show them, if anything does. Every other one has an entry above."""

FAILURES_UNREACHED: dict[str, str] = {
    "F059": "a choice of the program's: whether results are answered after words of the model's own (`function_calls.answer`)",
    "F070": "the model calls declared functions alone",
    "F072": "the history is the server's, with one entry per item: there is no second copy that could lose an order",
    "F075": "audio without end takes minutes of it: one test of the bound says as much as a thousand worlds",
    "F082": "a hand-off between agents is not the core's; that it listens at the end is asked of every world (15)",
    "F096": "no message is as large as that, and no server closes with 1009",
    "F111": "the history is the server's: there is no second copy that could hold an item of another type",
    "F117": "the history is the server's: there is no second copy that could be overwritten",
    "F122": "a turn detection that is sent whole: what a session is configured with before the first word",
    "F127": "a speech whose end is never told is let go after a minute, and no world waits for that on purpose",
}
"""Failures of the groups D to I that no campaign meets as they were reported, and why: tests alone show them."""


def missed(result: Met, table: Sequence[Sometimes] = SOMETIMES) -> list[str]:
    """What a campaign met too rarely, in words; empty for one that met everything."""
    found = []
    for one in table:
        seen, least = result.situations.get(one.id, 0), one.least(result.interruptions)
        if seen < least:
            found.append(f"{one.id}: {seen} times in {result.interruptions} interruptions, {least} at least")
    return found
