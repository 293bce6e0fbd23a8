"""rtcore behind the realtime sessions of openai-agents (the extra ``openai-agents``: ``pip install 'rtcore[openai-agents]'``).

One argument is all that changes in a program::

    runner = RealtimeRunner(agent, model=RtcoreRealtimeModel())
    async with await runner.run() as session:
        ...

What the program plays is counted by rtcore: from its ``RealtimePlaybackTracker`` where it gives one, else by the time that sound
takes. So an interruption leaves no words with the model that nobody heard, and the history shows what was.
"""

try:
    import agents.realtime as _framework  # noqa: F401
except ModuleNotFoundError as error:
    _told = f"rtcore_openai_agents needs the package {error.name}: pip install 'rtcore[openai-agents]'"
    raise ModuleNotFoundError(_told, name=error.name) from None

from rtcore_openai_agents._model import RtcoreRealtimeModel as RtcoreRealtimeModel
