"""``openai-agents``: an ordinary realtime session, its events taken one by one. Audio comes decoded, text with the raw events."""

import asyncio

from agents.realtime import RealtimeAgent, RealtimeRunner
from meter import Meter


async def main() -> None:
    """Take until everything was taken."""
    meter = Meter("openai-agents", "openai", "websockets", "pydantic")
    agent = RealtimeAgent(name="assistant", instructions="Answer briefly.")
    runner = RealtimeRunner(agent, config={"tracing_disabled": True})
    session = await runner.run(model_config={"url": meter.url, "api_key": "sk-not-a-key-0123456789"})
    async with session:
        meter.ready()
        async for event in session:
            if event.type == "audio":
                meter.audio(event.audio.data)
            elif event.type == "raw_model_event" and event.data.type == "transcript_delta":
                meter.text(event.data.delta)


if __name__ == "__main__":
    asyncio.run(main())
