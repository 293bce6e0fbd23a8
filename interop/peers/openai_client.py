"""The ``openai`` package's realtime client, as its documentation shows it: it carries typed events, the program does the rest.

``client.realtime`` speaks the GA protocol; with an ``api-version`` in the URL ``AsyncAzureOpenAI(...).beta.realtime`` speaks the
preview's. What a program adds here: cut the speaker and truncate where the user barges in, answer calls, ask for the next answer.
"""

import asyncio
import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openai import AsyncAzureOpenAI, AsyncOpenAI
from sounding import Speaker
from stage import KEY, URL, WEATHER, Microphone, heard, perform, tell

TOOL = {
    "type": "function",
    "name": "weather",
    "description": "The weather at a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
}
DETECTION = {"type": "server_vad", "create_response": True, "interrupt_response": True}
GA = {
    "type": "realtime",
    "instructions": "Answer briefly.",
    "tools": [TOOL],
    "audio": {"input": {"turn_detection": DETECTION, "transcription": {"model": "whisper-1"}}},
}
PREVIEW = {
    "instructions": "Answer briefly.",
    "tools": [TOOL],
    "turn_detection": DETECTION,
    "input_audio_transcription": {"model": "whisper-1"},
}


class Program:
    """A small voice program on one connection."""

    def __init__(self, connection: Any, microphone: Microphone) -> None:
        self.connection, self.microphone = connection, microphone
        self.speaker = Speaker(self.sounded)
        self.sounding: dict[str, list[int]] = {}  # item: bytes received, bytes heard
        self.calls = 0

    def sounded(self, pcm: bytes, tag: object) -> None:
        assert isinstance(tag, str)
        self.sounding[tag][1] += len(pcm)
        heard(pcm)

    async def talk(self, pcm: bytes) -> None:
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def listen(self) -> None:
        """Take what comes, until the server hangs up."""
        async for event in self.connection:
            # What it does not recognise becomes some other event of the union, or a bare dictionary.
            tell(got=event.type, model=type(event).__name__)
            await self.take(event)

    async def take(self, event: Any) -> None:
        match event.type:
            case "session.updated":
                tell(ready=True)
            case "response.output_audio.delta" | "response.audio.delta":
                pcm = base64.b64decode(event.delta)
                self.sounding.setdefault(event.item_id, [0, 0])[0] += len(pcm)
                self.speaker.play(pcm, event.item_id)
            case "input_audio_buffer.speech_started":
                await self.cut()
            case "response.function_call_arguments.done":
                self.calls += 1
                tell(called=json.loads(event.arguments))
                output = {"type": "function_call_output", "call_id": event.call_id, "output": WEATHER}
                await self.connection.conversation.item.create(item=output)
            case "response.done" if self.calls:
                self.calls = 0
                await self.connection.response.create()
            case "error":
                tell(problem=event.error.message)

    async def cut(self) -> None:
        self.speaker.clear()
        for item, (received, sounded) in self.sounding.items():
            if 48 <= sounded < received:
                await self.connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=sounded // 48)
            elif sounded < received:
                await self.connection.conversation.item.delete(item_id=item)
        self.sounding.clear()


async def main() -> None:
    """Talk until the test is over."""
    url, microphone = urlsplit(URL), Microphone()
    base = f"{url.scheme}://{url.netloc}{url.path.removesuffix('/realtime')}"
    query = parse_qs(url.query)
    preview = "api-version" in query
    if preview:
        version, model = query["api-version"][0], query["deployment"][0]
        azure = AsyncAzureOpenAI(
            api_key=KEY,
            api_version=version,
            azure_endpoint="http://azure.invalid",
            websocket_base_url=base,
            azure_deployment=model,
        )
        manager = azure.beta.realtime.connect(model=model)
    else:
        client = AsyncOpenAI(api_key=KEY, websocket_base_url=base)
        manager = client.realtime.connect(model="gpt-realtime")
    async with manager as connection:
        program = Program(connection, microphone)
        await connection.session.update(session=PREVIEW if preview else GA)
        await perform(program.listen(), microphone.run(program.talk), program.speaker.run(), microphone=microphone)


if __name__ == "__main__":
    asyncio.run(main())
