"""rtcore behind the agents of livekit-agents (the extra ``livekit``: ``pip install 'rtcore[livekit]'``).

One argument is all that changes in a program::

    session = AgentSession(llm=RtcoreRealtimeModel(Config(...)))
    await session.start(Assistant(), room=room)

LiveKit says where its playback was when somebody interrupted; rtcore tells the server exactly that, and takes away what had not
begun to sound.
"""

try:
    import livekit.agents as _framework  # noqa: F401
except ModuleNotFoundError as error:
    _told = f"rtcore_livekit needs the package {error.name}: pip install 'rtcore[livekit]'"
    raise ModuleNotFoundError(_told, name=error.name) from None

from rtcore_livekit._model import RtcoreRealtimeModel as RtcoreRealtimeModel
from rtcore_livekit._session import RtcoreRealtimeSession as RtcoreRealtimeSession
