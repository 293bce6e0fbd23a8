"""A session written down as its inputs, and run again from them, bit for bit.

The core is a function of its inputs, so they are all that a recording needs: every call with its arguments and its ``now``. Each
line also holds a short digest of what the call gave, so that a replay can say where a changed core first does something else.

    lines: list[bytes] = []
    session = RecordedSession(config, clock=clock, seed=7, sink=lines.append)      # use it as any Session
    ...
    session.finish()
    recording = read(lines)
    print(replay(recording).difference)                                            # None: the same, bit for bit

Credentials never reach a recording. Voices and words are left out as well, unless ``Keep`` says otherwise: sound becomes silence
of the same length, text a mask of the same length, so that whatever the core counts stays as it was. What is recorded are the
effects of a second session that was given only what the file holds: a file replays to its own digests by construction.
"""

from rtcore.recording._format import FORMAT as FORMAT
from rtcore.recording._format import RTCORE as RTCORE
from rtcore.recording._format import Header as Header
from rtcore.recording._format import Input as Input
from rtcore.recording._format import Recording as Recording
from rtcore.recording._format import RecordingError as RecordingError
from rtcore.recording._format import read as read
from rtcore.recording._format import unpack as unpack
from rtcore.recording._privacy import Keep as Keep
from rtcore.recording._replay import Difference as Difference
from rtcore.recording._replay import Replay as Replay
from rtcore.recording._replay import Step as Step
from rtcore.recording._replay import call as call
from rtcore.recording._replay import replay as replay
from rtcore.recording._replay import steps as steps
from rtcore.recording._session import RecordedSession as RecordedSession
from rtcore.recording._told import told as told
