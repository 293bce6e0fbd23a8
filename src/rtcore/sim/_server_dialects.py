"""How the server behaves in each dialect, from the protocol facts (13, 14) alone: the second writing of what ``rtcore.dialects``
says, so that a mistake in either is found by the other.
"""

from typing import Literal

from msgspec import Struct

from rtcore._formats import AudioFormat

DialectName = Literal[
    "openai",
    "openai-beta",
    "azure",
    "azure-preview",
    "azure-voice-live",
    "xai",
    "qwen",
    "inworld",
    "stepfun",
    "glm",
    "localai",
    "speaches",
    "speech-to-speech",
]
"""The dialects that the server speaks."""

_ITEMS = frozenset({"conversation.item.truncate", "conversation.item.delete"})
_RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


class Manner(Struct, frozen=True):
    """One dialect, as its server keeps it. The defaults are GA's."""

    beta: bool = False
    """Names and shapes of the beta, flat."""
    lifted: bool = False
    """Voice and turn detection stand on top of a nested session, which has no type (xAI)."""
    created_alone: bool = False
    """Items are announced by ``conversation.item.created``, and nothing says that they are done."""
    item_done: Literal["all", "user", "none"] = "all"
    """Whose items get ``conversation.item.done``."""
    says_conversation: bool = False
    """``conversation.created`` follows ``session.created``."""
    greets: str = ""
    """An event of the vendor's own that is sent at the beginning."""
    refused: frozenset[str] = frozenset()
    """Client events that it does not know."""
    truncate_answered: bool = True
    metadata: bool = True
    voice_object: bool = False
    rate_apart: bool = False
    """The rate of PCM input is a field of its own."""
    client_vad: bool = False
    """Manual turns are a kind of turn detection."""
    bare: bool = False
    """Leaves out what other servers say: the part of a part's end, the index of arguments; usage stands on top (xAI)."""
    input_pcm: tuple[int, ...] = (24_000,)
    """Rates of PCM that it takes, its default first."""
    output_pcm: tuple[int, ...] = (24_000,)
    telephone: bool = True
    """It knows mu-law and A-law."""
    pcm_in: str = "pcm16"
    """What a flat session calls PCM."""
    pcm_out: str = "pcm16"
    detections: tuple[str, ...] = ("server_vad", "semantic_vad")
    begins: str | None = "server_vad"
    """The turn detection of a session that nobody has configured."""
    detection_flags: bool = True
    """Turn detection has ``create_response`` and ``interrupt_response``."""
    efforts: tuple[str, ...] = ()
    """What ``reasoning.effort`` may be, where it is not OpenAI's."""
    image_buffer: bool = False
    """Images come by an event of their own, behind audio."""
    whole: bool = False
    """It has every option of GA's session, and sessions that only transcribe: by the facts it is GA, and nothing lacks."""
    cumulative: bool = False
    """Says the user's words so far, whole each time, in an event of its own."""
    transcribes: bool = False
    """It transcribes the user whether it is asked to or not."""


_BETA = Manner(beta=True, created_alone=True, item_done="none", says_conversation=True)
_ANY = (24_000, *(rate for rate in _RATES if rate != 24_000))

MANNERS: dict[str, Manner] = {
    "openai": Manner(),
    "openai-beta": _BETA,
    "azure": Manner(),
    "azure-preview": _BETA,
    "azure-voice-live": Manner(
        beta=True,
        created_alone=True,
        item_done="user",
        voice_object=True,
        rate_apart=True,
        input_pcm=(24_000, 16_000, 8_000),
        detections=("server_vad", "semantic_vad", "azure_semantic_vad"),
    ),
    "xai": Manner(
        lifted=True,
        cumulative=True,
        item_done="none",
        says_conversation=True,
        greets="ping",
        bare=True,
        efforts=("high", "none"),
        input_pcm=_ANY,
        output_pcm=_ANY,
        detections=("server_vad",),
    ),
    "qwen": Manner(
        beta=True,
        created_alone=True,
        item_done="none",
        refused=_ITEMS | {"conversation.item.create", "conversation.item.retrieve"},
        metadata=False,
        image_buffer=True,
        input_pcm=(16_000,),
        pcm_out="pcm24",
        telephone=False,
        detections=("server_vad",),
        detection_flags=False,
    ),
    "inworld": Manner(begins="semantic_vad", greets="ping", refused=_ITEMS, input_pcm=_ANY, output_pcm=_ANY, telephone=False),
    "stepfun": Manner(
        begins=None,
        beta=True,
        created_alone=True,
        item_done="none",
        telephone=False,
        detections=("server_vad",),
        detection_flags=False,
    ),
    "glm": Manner(
        begins=None,
        beta=True,
        created_alone=True,
        item_done="none",
        greets="heartbeat",
        refused=frozenset({"conversation.item.truncate"}),
        client_vad=True,
        telephone=False,
        pcm_in="pcm24",
        pcm_out="pcm",
        detections=("server_vad",),
        detection_flags=False,
    ),
    "localai": Manner(whole=True),
    "speaches": Manner(beta=True, created_alone=True, item_done="none"),
    "speech-to-speech": Manner(whole=True, created_alone=True, item_done="none", truncate_answered=False),
}
"""By the dialect's name."""


def takes(manner: Manner, side: Literal["input", "output"], form: AudioFormat) -> bool:
    """Whether a session of this dialect may have this format."""
    if form.type != "audio/pcm":
        return manner.telephone
    return form.rate in (manner.input_pcm if side == "input" else manner.output_pcm)
