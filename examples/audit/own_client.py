"""rtcore itself, judged: ``rtcore audit --http 0 -- python examples/audit/own_client.py``.

The conversation is an ordinary one. The speaker is a virtual one that keeps what became audible; a task posts it to the audit,
every tenth of a second, silences included. Without RTCORE_PLAYED nothing is posted, and the messages alone are judged. Given a
file's name, the sound is recorded there, for ``rtcore audit --wav FILE``.
"""

import asyncio
import os
import sys
import time
import urllib.request
from contextlib import suppress

from rtcore import Config
from rtcore.config import Connection, FunctionTool, SessionOptions
from rtcore_adapters.asyncio import ConnectionFailed, connect
from rtcore_adapters.audio import VirtualSpeaker, WavSpeaker


def post(url: str, pcm: bytes, at: float) -> None:
    """Tell the audit what sounds from ``at`` on (Unix seconds)."""
    request = urllib.request.Request(f"{url}?at={at:.6f}", data=pcm, headers={"Content-Type": "audio/pcm"})
    urllib.request.urlopen(request, timeout=5).close()


async def report(speaker: VirtualSpeaker, url: str) -> None:
    """Post what the speaker sounded since the last time."""
    told = 0
    while True:
        await asyncio.sleep(0.1)
        at = time.time()
        pcm = bytes(speaker.signal[told:])
        told += len(pcm)
        if pcm:
            await asyncio.to_thread(post, url, pcm, at - len(pcm) / 2 / speaker.rate)


async def weather(**arguments: object) -> str:
    """A tool that takes its time."""
    await asyncio.sleep(0.3)
    return "18 degrees and dry"


async def main() -> None:
    """Talk until the audit hangs up."""
    speaker = WavSpeaker(sys.argv[1], record=True) if len(sys.argv) > 1 else VirtualSpeaker()
    session = SessionOptions(tools=(FunctionTool(name="weather", description="The weather at a place."),))
    config = Config(connection=Connection(url=os.environ["RTCORE_URL"]), session=session)
    posting = asyncio.create_task(report(speaker, url)) if (url := os.environ.get("RTCORE_PLAYED")) else None
    try:
        async with connect(config, speaker=speaker, tools={"weather": weather}) as conversation:
            async for _ in conversation:
                pass
    except ConnectionFailed as failed:
        print(f"the audit is not there: {failed}")
    finally:
        if posting is not None:
            posting.cancel()
            with suppress(asyncio.CancelledError):
                await posting


if __name__ == "__main__":
    asyncio.run(main())
