"""``livekit-agents``: the bare realtime session of its openai plugin, without an ``AgentSession`` around it.

Each generation's messages are taken as the library hands them over: audio as frames, the transcript as text.
"""

import asyncio
from urllib.parse import urlsplit

from livekit.agents.llm import GenerationCreatedEvent, MessageGeneration
from livekit.plugins.openai.realtime import RealtimeModel
from meter import Meter


async def main() -> None:
    """Take until everything was taken."""
    meter = Meter("livekit-agents", "livekit-plugins-openai", "livekit", "openai", "aiohttp")
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def audio(message: MessageGeneration) -> None:
        async for frame in message.audio_stream:
            meter.audio(frame.data.cast("B"))

    async def text(message: MessageGeneration) -> None:
        async for piece in message.text_stream:
            meter.text(piece)

    async def generation(created: GenerationCreatedEvent) -> None:
        async for message in created.message_stream:
            spawn(audio(message))
            spawn(text(message))

    model = RealtimeModel(base_url=f"http://{urlsplit(meter.url).netloc}/v1", api_key="sk-not-a-key-0123456789")
    session = model.session()
    session.on("generation_created", lambda created: spawn(generation(created)))
    ready = asyncio.Event()
    session.on("openai_server_event_received", lambda event: event["type"] == "session.updated" and ready.set())
    await ready.wait()
    meter.ready()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
