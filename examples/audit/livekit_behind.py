"""The program of ``livekit_client.py`` with rtcore behind its session: another model, and nothing else (``make plugs``)."""

import asyncio
import os

from livekit_client import main

from rtcore import Config
from rtcore.config import AudioInput, AudioOptions, Connection, Reconnect, ServerVad, SessionOptions
from rtcore_livekit import RtcoreRealtimeModel


async def talk() -> None:
    """The program, with its model."""
    config = Config(
        connection=Connection(url=os.environ["RTCORE_URL"], api_key="sk-not-a-key-0123456789"),
        session=SessionOptions(audio=AudioOptions(input=AudioInput(turn_detection=ServerVad()))),
        # The audit hangs up when it is over, and rtcore would connect again.
        reconnect=Reconnect(attempts=0),
    )
    await main(RtcoreRealtimeModel(config))


if __name__ == "__main__":
    asyncio.run(talk())
