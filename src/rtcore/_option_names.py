"""Options that people write by another name than GA's: where they went, for the error that names them.

The left column is the preview's (OpenAI's until its beta ended, Azure's preview api-versions; protocol facts 13), or another
library's.
"""

from collections.abc import Mapping

_RENAMED = "is its name since the GA protocol; rtcore writes it for every dialect"

SESSION: Mapping[str, str] = {
    "model": "the model is fixed by the connection; set connection.model, and open a new session for another",
    "id": "it is the server's own; leave it out",
    "modalities": f'output_modalities {_RENAMED}: ["audio"] for what was ["audio", "text"]',
    "voice": f"audio.output.voice {_RENAMED}",
    "speed": f"audio.output.speed {_RENAMED}",
    "turn_detection": f"audio.input.turn_detection {_RENAMED}",
    "input_audio_format": f"audio.input.format {_RENAMED}",
    "output_audio_format": f"audio.output.format {_RENAMED}",
    "input_audio_transcription": f"audio.input.transcription {_RENAMED}",
    "input_audio_noise_reduction": f"audio.input.noise_reduction {_RENAMED}",
    "max_response_output_tokens": f"max_output_tokens {_RENAMED}",
    "max_tokens": f"max_output_tokens {_RENAMED}",
    "logprobs": 'include: ["item.input_audio_transcription.logprobs"] asks for them',
}
RESPONSE: Mapping[str, str] = {
    **{
        name: SESSION[name] for name in ("modalities", "voice", "max_response_output_tokens", "max_tokens", "output_audio_format")
    },
    "model": SESSION["model"],
    "stream": "realtime responses always stream; leave it out",
    "messages": "input is the list of items to answer instead of the conversation",
}
CONNECTION: Mapping[str, str] = {
    "base_url": "url is its name",
    "azure_endpoint": "url is its name",
    "websocket_base_url": "url is its name",
    "azure_deployment": "deployment is its name",
    "azure_ad_token": "bearer_token is its name",
    "token": "bearer_token is its name; api_key for a key",
    "key": "api_key is its name",
    "timeout": "the connection's time-outs are an adapter's: connect(times=LinkTimes(...)); the protocol's are Config.timeouts",
}
