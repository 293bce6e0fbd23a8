"""A test bench for voice programs: a strict realtime server that follows a script, and says afterwards what was heard.

With pytest it is the fixture ``realtime_server``; the plugin comes with the package::

    def test_an_interruption(realtime_server):
        realtime_server.user_says("What is the capital of France?")
        realtime_server.answers("Paris is the capital of France.")
        realtime_server.user_interrupts(at_word=3)
        realtime_server.answers("Sorry. Paris.")
        realtime_server.run(my_agent, until_over=True)     # in virtual time
        assert realtime_server.heard == ["Paris is the", "Sorry. Paris."]
        assert realtime_server.unheard_left == []

``run`` is for programs on asyncio or trio; any other client talks to ``realtime_server.url`` on the real clock. Without pytest:
``with RealtimeServer() as server``.
"""

from rtcore_adapters.testing._accounts import Memory as Memory
from rtcore_adapters.testing._core import Core as Core
from rtcore_adapters.testing._script import Answer as Answer
from rtcore_adapters.testing._script import Call as Call
from rtcore_adapters.testing._script import Written as Written
from rtcore_adapters.testing._script import call as call
from rtcore_adapters.testing._server import RealtimeServer as RealtimeServer
from rtcore_adapters.testing._server import ScriptError as ScriptError
from rtcore_adapters.testing._speaker import BenchSpeaker as BenchSpeaker
