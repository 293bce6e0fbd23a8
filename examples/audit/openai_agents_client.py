"""openai-agents, judged: ``rtcore audit --http 0 -- python examples/audit/openai_agents_client.py [--tracker]``.

An ordinary realtime session of the SDK: audio events go to the speaker, ``audio_interrupted`` clears it. With ``--tracker`` the
SDK is told what was heard (``RealtimePlaybackTracker``), as its documentation asks of programs that do not play at once.
"""

import asyncio
import os
import sys

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeModel, RealtimePlaybackTracker, RealtimeRunner
from sounding import Speaker


@function_tool
async def weather(place: str = "") -> str:
    """The weather at a place."""
    await asyncio.sleep(0.3)
    return "18 degrees and dry"


async def main(model: RealtimeModel | None = None) -> None:
    """Talk until the audit hangs up, by the SDK's own model or another."""
    tracker = RealtimePlaybackTracker() if "--tracker" in sys.argv else None

    def heard(pcm: bytes, tag: object) -> None:
        if tracker is not None and isinstance(tag, tuple):
            tracker.on_play_bytes(*tag, pcm)

    speaker = Speaker(heard)
    agent = RealtimeAgent(name="assistant", instructions="Answer briefly.", tools=[weather])
    runner = RealtimeRunner(
        agent,
        model=model,
        config={
            "model_settings": {
                "turn_detection": {"type": "server_vad", "interrupt_response": True, "create_response": True},
            },
            "tracing_disabled": True,
        },
    )
    config = {"url": os.environ["RTCORE_URL"], "api_key": "sk-not-a-key-0123456789"}
    if tracker is not None:
        config["playback_tracker"] = tracker
    session = await runner.run(model_config=config)
    sounding = asyncio.create_task(speaker.run())
    try:
        async with session:
            async for event in session:
                if event.type == "audio":
                    speaker.play(event.audio.data, (event.item_id, event.content_index))
                elif event.type == "audio_interrupted":
                    speaker.clear()
                elif event.type == "error":
                    print("error:", str(event.error)[:200])
                elif event.type == "raw_model_event" and getattr(event.data, "status", None) == "disconnected":
                    return
    finally:
        sounding.cancel()
        await asyncio.gather(sounding, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
