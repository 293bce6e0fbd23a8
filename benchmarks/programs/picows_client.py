"""The floor: picows, a websocket client in C, and the least decoding that gives audio as bytes and text as text (msgspec).

No session, no order, no playout, no check of anything: what no client can do without. ``--uvloop`` runs it on uvloop.
"""

import sys
from importlib import import_module

import msgspec
from meter import Meter
from picows import WSFrame, WSListener, WSTransport, ws_connect


class Audio(msgspec.Struct, gc=False, tag="response.output_audio.delta"):
    """An audio delta: base64 is decoded by msgspec."""

    delta: bytes


class Text(msgspec.Struct, gc=False, tag="response.output_audio_transcript.delta"):
    """A transcript delta."""

    delta: str


decoder = msgspec.json.Decoder(Audio | Text)


class Listener(WSListener):
    """Decodes every frame."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._audio, self._text = meter.audio, meter.text

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One whole message."""
        try:
            event = decoder.decode(frame.get_payload_as_memoryview())
        except msgspec.ValidationError:
            return  # not a delta: one of the few events around them
        if type(event) is Audio:
            self._audio(event.delta)
        else:
            self._text(event.delta)


async def main() -> None:
    """Take until everything was taken."""
    meter = Meter("picows", "msgspec")
    transport, _ = await ws_connect(lambda: Listener(meter), meter.url)
    meter.ready()
    await transport.wait_disconnected()


if __name__ == "__main__":
    import_module("uvloop" if "--uvloop" in sys.argv else "asyncio").run(main())
