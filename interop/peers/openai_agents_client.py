"""``openai-agents``' realtime session: the SDK interrupts, truncates and calls the function by itself."""

from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimePlaybackTracker, RealtimeRunner
from agents.realtime.openai_realtime import get_server_event_type_adapter
from sounding import Speaker
from stage import KEY, URL, WEATHER, Microphone, heard, perform, start, tell, watch


@function_tool
async def weather(place: str = "") -> str:
    """The weather at a place."""
    tell(called={"place": place})
    return WEATHER


async def main() -> None:
    """Talk until the test is over."""
    watch("openai", "openai.agents")
    microphone, tracker = Microphone(), RealtimePlaybackTracker()

    def sounded(pcm: bytes, tag: object) -> None:
        assert isinstance(tag, tuple)
        tracker.on_play_bytes(*tag, pcm)
        heard(pcm)

    speaker = Speaker(sounded)
    agent = RealtimeAgent(name="assistant", instructions="Answer briefly.", tools=[weather])
    detection = {"type": "server_vad", "interrupt_response": True, "create_response": True}
    runner = RealtimeRunner(agent, config={"model_settings": {"turn_detection": detection}, "tracing_disabled": True})
    session = await runner.run(model_config={"url": URL, "api_key": KEY, "playback_tracker": tracker})

    async def listen() -> None:
        async for event in session:
            if event.type == "audio":
                speaker.play(event.audio.data, (event.item_id, event.content_index))
            elif event.type == "audio_interrupted":
                speaker.clear()
            elif event.type == "error":
                tell(problem=str(event.error))
            elif event.type == "raw_model_event" and event.data.type == "raw_server_event":
                # The event as it came; where it is not what the SDK's models say, an error follows.
                tell(got=event.data.data["type"])
                if event.data.data["type"] == "session.updated":
                    tell(ready=True)

    async with session:
        await perform(listen(), microphone.run(session.send_audio), speaker.run(), microphone=microphone)


def parse(event: dict[str, Any]) -> object:
    """What the SDK validates each event with, behind its own exception for null."""
    if event.get("previous_item_id", "") is None:
        event = {**event, "previous_item_id": ""}
    return get_server_event_type_adapter().validate_python(event)


if __name__ == "__main__":
    start(main, parse)
