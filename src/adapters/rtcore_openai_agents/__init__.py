"""rtcore behind the realtime sessions of openai-agents (``pip install "rtcore[openai-agents]"``).

One argument is all that changes in a program::

    runner = RealtimeRunner(agent, model=RtcoreRealtimeModel())
    async with await runner.run() as session:
        ...

What the program plays is counted by rtcore: from its ``RealtimePlaybackTracker`` where it gives one, else by the time that sound
takes. So an interruption leaves no words with the model that nobody heard, and the history shows what was.
"""

from rtcore_openai_agents._model import RtcoreRealtimeModel as RtcoreRealtimeModel
