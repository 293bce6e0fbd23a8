"""The catalogue of what can go wrong in a simulated world: one name for each fault, wherever it is drawn, counted or reported.

A fault is named ``"group: name"``. ``Scenario.faults`` tells which exist in a world, ``WorldResult.situations`` how often each
really happened, ``CampaignResult.faults`` what the figures are where it exists. To add one: a line here, an option in the part
that commits it (which counts it in ``happened`` under the same name), and its draw in ``scenario.draw_scenario``.
"""

from typing import Literal

from msgspec import Struct

Group = Literal["network", "server", "speaker", "user", "program"]
"""Which part of a world commits the fault."""


class Fault(Struct, frozen=True):
    """One thing that can go wrong.

    ``serves`` are the ids of the behaviours (B, C, S) and failure reports (F) that cannot be shown to hold without it.
    """

    group: Group
    what: str
    means: str
    serves: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its one name."""
        return f"{self.group}: {self.what}"


FAULTS: tuple[Fault, ...] = (
    # What the line does to messages, both ways.
    Fault("network", "latency", "every message takes 20 ms or longer", ("B15", "C14", "F049", "F050")),
    Fault("network", "jitter", "messages take a different time each", ("B15", "C14", "F147")),
    Fault("network", "stall", "a lost packet holds up everything behind it, for seconds at worst", ("C19", "F147")),
    Fault("network", "split", "a message arrives in pieces, cut at any byte", ("C29",)),
    Fault("network", "merge", "many messages arrive in the same instant", ("B08", "F010")),
    Fault("network", "cut mid-frame", "the line is gone in the middle of a message", ("B24", "F093", "F101")),
    Fault("network", "half-open", "nothing arrives any more, and nothing says so until a keepalive fails", ("B24", "F095")),
    Fault("network", "slow reader", "the client takes only so many bytes a second off the line", ("C30", "F150")),
    # What the server does, seldom or by its unknown rules.
    Fault("server", "bursts", "several deltas leave at once, then a pause", ("C19", "F147")),
    Fault("server", "late deltas", "audio of a response still leaves after its cancel", ("B10", "C10", "F031", "F035")),
    Fault("server", "interleaved items", "items of one response overlap on the wire", ("B11", "S01", "F025")),
    Fault("server", "overlapping responses", "two responses run at once, with their events mixed", ("B11", "F056", "F057")),
    Fault("server", "failed response", "a response breaks off with an error", ("S06", "F146")),
    Fault("server", "incomplete response", "a response ends at its token limit", ("F131", "F143")),
    Fault("server", "filtered response", "a response is ended by the content filter", ("F143",)),
    Fault("server", "text-only answer", "a message has text and no audio", ("F140", "F142")),
    Fault("server", "empty audio", "an audio part is closed without a sample", ("C04", "S03", "F001")),
    Fault("server", "odd bytes", "a delta ends in the middle of a sample", ("B27", "C22")),
    Fault("server", "fewer samples than announced", "a part is shorter than transcript and usage say", ("C24", "F148")),
    Fault("server", "two audio parts", "one item has two parts that can be heard or shown", ("C23", "F163")),
    Fault("server", "duplicate event", "an event comes twice", ("C18", "C26", "F115")),
    Fault("server", "unknown event", "an event of a type that nobody knows", ("B27", "C29")),
    Fault("server", "malformed event", "an event that is no JSON, or lacks fields", ("B27", "C29")),
    Fault("server", "error without event_id", "an error does not say what it answers", ("C14", "F046", "F062")),
    Fault("server", "rejection", "a valid command is refused", ("B13", "C15", "F047", "F071")),
    Fault("server", "slot held by nothing", "a creation meets a response that is never seen", ("B13", "C15", "F044", "F046")),
    Fault("server", "slow to begin", "response.created comes after more than ten seconds", ("B14", "F034", "F061")),
    Fault("server", "error behind its response", "an error names a creation that has long been answered", ("C14", "C15", "F046")),
    Fault("server", "late announcement", "an item's conversation.item.added comes late, or never", ("B03", "C05", "C25")),
    Fault("server", "slow cancel", "a cancelled response goes on for seconds before it ends", ("B03", "B07", "C10", "F051")),
    Fault("server", "reordered output_item.done", "items of a response are closed in another order", ("S07", "F106")),
    Fault("server", "missing response.created", "a response begins without saying so", ("C18", "F035")),
    Fault("server", "missing response.done", "a response ends without saying so", ("C14", "F022", "F050")),
    Fault("server", "cascade before speech_started", "a barge-in's closing events come before its cause", ("C10", "F131")),
    Fault("server", "several function calls", "one response calls several functions", ("C26", "F062")),
    Fault("server", "session end", "the session reaches its longest life and the server hangs up", ("C27", "F085", "F101")),
    Fault("server", "sounds by itself", "a call: the server plays the audio and knows what was heard", ("F030", "F031")),
    Fault("server", "preview dialect", "the older names and shapes of events", ("C28", "S02", "F132", "F133")),
    Fault("server", "remote tools", "it calls tools of remote (MCP) servers, fails, and asks whether it may", ("C26", "F062")),
    Fault("server", "idle time-out", "a silence is told, committed and answered by the server", ("B14",)),
    Fault("server", "only transcribes", "a transcription session, which never answers", ("F116",)),
    # What the audio clock does.
    Fault("speaker", "large buffer", "the device holds 200 to 500 ms of sound", ("C01", "F019")),
    Fault("speaker", "drift", "its crystal runs fast or slow by 50 ppm or more", ("B02", "F017")),
    Fault("speaker", "underrun", "it runs dry while a response goes on", ("C19", "F147")),
    Fault("speaker", "slow answer", "a flush takes effect only after the declared latency", ("B29", "F032")),
    Fault("speaker", "late answer", "a flush is answered after the core has stopped waiting", ("B29", "C21")),
    Fault("speaker", "missing answer", "a flush is never answered", ("B29", "F078")),
    Fault("speaker", "duplicate answer", "a flush is answered twice", ("B29", "C21")),
    Fault("speaker", "stale report", "a position of a generation long gone, or a smaller one", ("C21",)),
    Fault("speaker", "counted padding", "a position beyond what was handed over, when it has run dry", ("B02", "C08", "B31")),
    Fault("speaker", "falls silent", "no position any more until it has run dry, and no word why", ("F078", "B29")),
    Fault("speaker", "wrong answer", "a flush is answered with a number that is not true", ("B02", "C08", "F009")),
    Fault("speaker", "marks only", "positions are known only at marks, as on a telephone line", ("F019", "F020")),
    Fault("speaker", "no reports", "no positions are reported at all", ("B29", "C19", "F078")),
    Fault("speaker", "echo", "the microphone hears it, later and softer", ("F039", "F118")),
    Fault("speaker", "device lost", "the device vanishes, and comes back", ("F100",)),
    Fault("speaker", "late pause", "a pause takes effect late", ("B16", "C20", "F083")),
    Fault("speaker", "no pause", "it cannot hold: the sound is flushed and played again", ("B16", "F083")),
    # What a person does.
    Fault("user", "cough", "speech of 50 to 150 ms that the server detects and that ends at once", ("B18", "F120", "F121")),
    Fault("user", "backchannel", "a short word during the answer, for which no reply is expected", ("B19", "F121")),
    Fault("user", "silence", "turn detection fires though nothing was said, or the microphone is silent", ("F116", "F126")),
    Fault("user", "button", "push-to-talk by the core's own commands", ("F123", "F125", "C13")),
    Fault(
        "user", "own recogniser", "turns in words, by a recogniser and a detector of the program's own", ("C13", "B18", "F118")
    ),
    Fault("user", "pressed twice", "push-to-talk is pressed twice at once", ("F123", "F125")),
    Fault("user", "typed text while the model speaks", "with and without silencing it", ("B13", "F037", "F046")),
    Fault("user", "hang-up", "the session is closed in the middle of anything", ("B31", "F081", "F098")),
    Fault("user", "end of an item", "a barge-in within one sample of an item's last", ("B02", "B05", "B20")),
    Fault("user", "between two deltas", "a barge-in between two deltas of one item", ("C10", "F035")),
    Fault("user", "with nothing queued", "a barge-in when all that came was heard and the response goes on", ("B03", "C19")),
    Fault("user", "while a truncate is in flight", "a barge-in before the last one's edits are acknowledged", ("C11", "C24")),
    # What the program on top does.
    Fault("program", "slow tools", "functions take seconds, some until long after the turn", ("B28", "C26", "F065")),
    Fault("program", "failing tools", "functions answer with an error", ("C26", "F069")),
    Fault("program", "answer to a dead call", "an answer to a call that is unknown, answered or gone", ("C26", "F064")),
    Fault("program", "interrupt before response.created", "a request is interrupted before it is a response", ("B15", "F049")),
    Fault("program", "update in mid-response", "options change while the model speaks", ("S09", "F135")),
    Fault("program", "stops listening", "the consumer is away for seconds; its reactions come late and together", ("B31", "C16")),
    Fault("program", "out-of-band response", "a response beside the conversation, sometimes to be heard", ("B12", "C17")),
    Fault("program", "history edits", "items are added and deleted beside the talk", ("C25", "F067", "F107")),
    Fault("user", "presses keys", "keys of the telephone, in the middle of anything", ("B27", "C29")),
    Fault("program", "raw event", "an event that the protocol does not know; the server refuses it", ("B27", "F007")),
    Fault("program", "image", "a picture is shown beside the talk", ("F110", "C25")),
    Fault("program", "input of its own", "a response beside the conversation has its own input and metadata", ("B12", "C17")),
    Fault("program", "logprobs", "how sure a transcript is, is asked for", ("F116", "C25")),
    Fault("program", "stored prompt", "a stored prompt is named in the session", ("S09", "F135")),
    Fault("program", "tap", "the program listens in on the wire, or on what is not known", ("B27", "C29")),
    Fault("program", "pauses", "the sound is held for a moment", ("B16", "B17", "C20")),
    Fault("program", "history synchronised", "the history is to be as a list says that may be old", ("B22", "F067", "F107")),
    Fault("program", "own voice", "sound of its own in the same playout, whole or in pieces", ("F150", "S04", "B12")),
    Fault("program", "tools given up", "a function call is cancelled, and its result comes too late", ("F065", "F069", "C26")),
    Fault(
        "program", "words for a wait", "a few words beside the conversation while a function takes long", ("B28", "C26", "F065")
    ),
    Fault("program", "told of silence", "it wants to know when nobody has said anything for so long", ("F130",)),
    Fault("program", "half duplex", "the user is not heard while the model is", ("F039", "F118")),
    Fault("program", "echo guard", "a voice right behind the model's first sample may be its own", ("F118",)),
    Fault("program", "mute", "the user is muted for a while: the server gets silence in real time", ("F126",)),
    Fault("program", "guardrail", "audio is held back until a check has let it go, cut it or come too late", ("F161",)),
)
"""Every fault, by group."""

NAMES: tuple[str, ...] = tuple(fault.name for fault in FAULTS)
"""The names of all faults, in the order of the catalogue."""


def in_order(names: set[str]) -> tuple[str, ...]:
    """These names in the order of the catalogue. Raises ValueError for one that it does not know."""
    if unknown := sorted(names.difference(NAMES)):
        raise ValueError(f"no such fault: {', '.join(unknown)}; rtcore.sim.faults lists them")
    return tuple(name for name in NAMES if name in names)
