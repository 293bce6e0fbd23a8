"""A response's usage, as livekit's metrics."""

import time
from collections.abc import Mapping
from typing import Any

from livekit.agents.metrics import RealtimeModelMetrics

from rtcore import ResponseEnded

_KINDS = ("audio_tokens", "text_tokens", "image_tokens")


def _counts(details: Mapping[str, Any]) -> dict[str, int]:
    return {kind: details.get(kind) or 0 for kind in _KINDS}


def metrics(ended: ResponseEnded, label: str) -> RealtimeModelMetrics:
    """What was used; what the server did not say is 0. Times are in rtcore's ``TurnReport``."""
    usage = ended.usage or {}
    given: Mapping[str, Any] = usage.get("input_token_details") or {}
    made: Mapping[str, Any] = usage.get("output_token_details") or {}
    cached: Mapping[str, Any] = given.get("cached_tokens_details") or {}
    return RealtimeModelMetrics(
        timestamp=time.time(),
        request_id=ended.response_id,
        cancelled=ended.status == "cancelled",
        label=label,
        input_tokens=usage.get("input_tokens") or 0,
        output_tokens=usage.get("output_tokens") or 0,
        total_tokens=usage.get("total_tokens") or 0,
        input_token_details=RealtimeModelMetrics.InputTokenDetails(
            **_counts(given),
            cached_tokens=given.get("cached_tokens") or 0,
            cached_tokens_details=RealtimeModelMetrics.CachedTokenDetails(**_counts(cached)) if cached else None,
        ),
        output_token_details=RealtimeModelMetrics.OutputTokenDetails(**_counts(made)),
    )
