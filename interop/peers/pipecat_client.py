"""``pipecat-ai``'s realtime service in a pipeline with an output transport: it interrupts, truncates and calls by itself."""

import asyncio
import json
import time
from urllib.parse import urlsplit

from loguru import logger
from pipecat.frames.frames import ErrorFrame, Frame, InputAudioRawFrame, LLMRunFrame, OutputAudioRawFrame, StartFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.azure.realtime.llm import AzureRealtimeLLMService
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner
from stage import KEY, RATE, URL, WEATHER, Microphone, heard, perform, start, tell


class Loudspeaker(BaseOutputTransport):
    """The library's own output transport, with a device that sounds in real time."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=RATE))
        self._free = 0.0

    async def start(self, frame: StartFrame) -> None:
        """The device is ready at once."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Sound it; take the next when this has sounded."""
        self._free = max(self._free, time.monotonic()) + len(frame.audio) / 2 / RATE
        await asyncio.sleep(max(0.0, self._free - time.monotonic()))
        heard(frame.audio)
        return True


class Errors(FrameProcessor):
    """Tells the errors that pass."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            tell(problem=frame.error)
        await self.push_frame(frame, direction)


async def weather(params: FunctionCallParams, place: str = "") -> None:
    """The weather at a place.

    Args:
        place: Where.
    """
    tell(called={"place": place})
    await params.result_callback(WEATHER)


def told(message: str) -> object:
    """The service's parser, listened to."""
    event = parse(message)
    # It has no model for the events that it passes over.
    kind = event.type if event is not None else json.loads(message)["type"]
    tell(got=kind, model=type(event).__name__)
    if kind == "session.updated":
        tell(ready=True)
    return event


parse, events.parse_server_event = events.parse_server_event, told


async def main() -> None:
    """Talk until the test is over."""
    logger.remove()
    logger.add(lambda message: tell(problem=str(message).strip()), level="WARNING", format="{level} {name}: {message}")
    microphone, speaker = Microphone(), Loudspeaker()
    detection = events.TurnDetection(type="server_vad")
    properties = events.SessionProperties(audio=events.AudioConfiguration(input=events.AudioInput(turn_detection=detection)))
    azure = urlsplit(URL).path.startswith("/openai/")
    make = AzureRealtimeLLMService if azure else OpenAIRealtimeLLMService
    settings = make.Settings(model="gpt-realtime", system_instruction="Answer briefly.", session_properties=properties)
    service = make(api_key=KEY, base_url=URL if azure else URL.partition("?")[0], settings=settings)
    context = LLMContext([], tools=[weather])
    pair = LLMContextAggregatorPair(context)
    pipeline = Pipeline([pair.user(), service, Errors(), speaker, pair.assistant()])
    worker = PipelineWorker(pipeline, params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE))
    runner = WorkerRunner(handle_sigint=False)

    async def talk(pcm: bytes) -> None:
        await worker.queue_frame(InputAudioRawFrame(pcm, RATE, 1))

    async def run() -> None:
        # The service has its context, and with it the tools, only from the first run on: it greets.
        await worker.queue_frame(LLMRunFrame())
        await runner.run(worker)

    await perform(run(), microphone.run(talk), microphone=microphone)


if __name__ == "__main__":
    start(main, lambda event: parse(json.dumps(event)))
