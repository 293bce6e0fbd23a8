"""rtcore behind the agents of livekit-agents (``pip install "rtcore[livekit]"``).

One argument is all that changes in a program::

    session = AgentSession(llm=RtcoreRealtimeModel(Config(...)))
    await session.start(Assistant(), room=room)

LiveKit says where its playback was when somebody interrupted; rtcore tells the server exactly that, and takes away what had not
begun to sound.
"""

from rtcore_livekit._model import RtcoreRealtimeModel as RtcoreRealtimeModel
from rtcore_livekit._session import RtcoreRealtimeSession as RtcoreRealtimeSession
