"""The program of ``openai_agents_client.py`` with rtcore behind its session: another model, and nothing else (``make plugs``)."""

import asyncio

from openai_agents_client import main

from rtcore import Config
from rtcore.config import Reconnect
from rtcore_openai_agents import RtcoreRealtimeModel

if __name__ == "__main__":
    # The audit hangs up when it is over, and rtcore would connect again.
    asyncio.run(main(RtcoreRealtimeModel(Config(reconnect=Reconnect(attempts=0)))))
