"""rtcore: the part of realtime voice that is right. A pure core: messages and time in, effects out.

``Session`` is the core. Effects and notices are what it gives back, ``Config`` what it is told, ``Clock`` what the audio clock
can
do. Adapters for asyncio, trio and threads are in ``rtcore_adapters``, the simulated world in ``rtcore.sim``.
"""

from rtcore._clock import Clock as Clock
from rtcore._core import Counters as Counters
from rtcore._effects import Connect as Connect
from rtcore._effects import Deadline as Deadline
from rtcore._effects import Disconnect as Disconnect
from rtcore._effects import Drain as Drain
from rtcore._effects import Effect as Effect
from rtcore._effects import Flush as Flush
from rtcore._effects import Handshake as Handshake
from rtcore._effects import Lane as Lane
from rtcore._effects import Pause as Pause
from rtcore._effects import Play as Play
from rtcore._effects import Resume as Resume
from rtcore._effects import Send as Send
from rtcore._errors import ErrorKind as ErrorKind
from rtcore._errors import LocalProtocolError as LocalProtocolError
from rtcore._formats import PCM16_24K as PCM16_24K
from rtcore._formats import PCMA as PCMA
from rtcore._formats import PCMU as PCMU
from rtcore._formats import AudioFormat as AudioFormat
from rtcore._items import HistoryItem as HistoryItem
from rtcore._items import SegmentView as SegmentView
from rtcore._lifecycle import Disconnection as Disconnection
from rtcore._notices import Cause as Cause
from rtcore._notices import ClockFault as ClockFault
from rtcore._notices import CloseReason as CloseReason
from rtcore._notices import ContextStale as ContextStale
from rtcore._notices import Interrupted as Interrupted
from rtcore._notices import ItemAdded as ItemAdded
from rtcore._notices import ItemDeleted as ItemDeleted
from rtcore._notices import MessageEnded as MessageEnded
from rtcore._notices import MessageStarted as MessageStarted
from rtcore._notices import MicrophoneDropped as MicrophoneDropped
from rtcore._notices import Notice as Notice
from rtcore._notices import Outcome as Outcome
from rtcore._notices import OutOfBandAudio as OutOfBandAudio
from rtcore._notices import Problem as Problem
from rtcore._notices import ProtocolWarning as ProtocolWarning
from rtcore._notices import RateLimitsUpdated as RateLimitsUpdated
from rtcore._notices import RequestEnded as RequestEnded
from rtcore._notices import ResponseEnded as ResponseEnded
from rtcore._notices import ResponseStarted as ResponseStarted
from rtcore._notices import ServerError as ServerError
from rtcore._notices import SessionChanged as SessionChanged
from rtcore._notices import SessionClosed as SessionClosed
from rtcore._notices import SessionReady as SessionReady
from rtcore._notices import SpeakingStarted as SpeakingStarted
from rtcore._notices import SpeakingStopped as SpeakingStopped
from rtcore._notices import TextDelta as TextDelta
from rtcore._notices import ToolCalled as ToolCalled
from rtcore._notices import Underrun as Underrun
from rtcore._notices import UnknownEvent as UnknownEvent
from rtcore._notices import UserSpeechStarted as UserSpeechStarted
from rtcore._notices import UserSpeechStopped as UserSpeechStopped
from rtcore._notices import UserTranscript as UserTranscript
from rtcore._notices import UserTranscriptDelta as UserTranscriptDelta
from rtcore._notices import UserTranscriptFailed as UserTranscriptFailed
from rtcore._notices import UserTurnCommitted as UserTurnCommitted
from rtcore._notices import Verdict as Verdict
from rtcore._session import Issued as Issued
from rtcore._session import Session as Session
from rtcore.config import Config as Config
from rtcore.dialects import Capabilities as Capabilities
