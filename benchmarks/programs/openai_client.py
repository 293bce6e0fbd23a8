"""The ``openai`` package's realtime connection: it parses events; the program decodes the audio's base64 itself."""

import asyncio
from base64 import b64decode
from urllib.parse import urlsplit

from meter import Meter
from openai import AsyncOpenAI


async def main() -> None:
    """Take until everything was taken."""
    meter = Meter("openai", "websockets", "pydantic")
    place = urlsplit(meter.url)
    client = AsyncOpenAI(api_key="sk-not-a-key-0123456789", base_url=f"http://{place.netloc}/v1")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        meter.ready()
        async for event in connection:
            if event.type == "response.output_audio.delta":
                meter.audio(b64decode(event.delta))
            elif event.type == "response.output_audio_transcript.delta":
                meter.text(event.delta)


if __name__ == "__main__":
    asyncio.run(main())
