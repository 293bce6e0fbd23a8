"""Loudspeakers and microphones: the interfaces, and those that need no device."""

from rtcore_adapters.audio._interface import Microphone as Microphone
from rtcore_adapters.audio._interface import MicrophoneSink as MicrophoneSink
from rtcore_adapters.audio._interface import Speaker as Speaker
from rtcore_adapters.audio._interface import SpeakerReports as SpeakerReports
from rtcore_adapters.audio._marks import MarksSpeaker as MarksSpeaker
from rtcore_adapters.audio._microphone import SilentMicrophone as SilentMicrophone
from rtcore_adapters.audio._microphone import WavMicrophone as WavMicrophone
from rtcore_adapters.audio._null import NullSpeaker as NullSpeaker
from rtcore_adapters.audio._player import PlayerMessageError as PlayerMessageError
from rtcore_adapters.audio._push import PushMicrophone as PushMicrophone
from rtcore_adapters.audio._remote import RemoteSpeaker as RemoteSpeaker
from rtcore_adapters.audio._virtual import Span as Span
from rtcore_adapters.audio._virtual import VirtualSpeaker as VirtualSpeaker
from rtcore_adapters.audio._virtual import WavSpeaker as WavSpeaker
from rtcore_adapters.audio._wav import AudioFileError as AudioFileError
from rtcore_adapters.audio._wav import load_wav as load_wav
