"""Options that several commands share: each takes the text that was typed, and says what would be right."""

import argparse

from rtcore.sim.policy import PolicyError, parse_policy

_WORLDS = (1 << 64) - 1  # a seed is a state of rtcore.sim's generator, 64 bits
_FIRST = (1 << 63) - 1  # the worlds after it are numbered on from there
_YEAR = 366 * 24 * 60


def whole_above_zero(text: str) -> int:
    """An option that counts something."""
    return _whole(text, 1)


def seed(text: str) -> int:
    """A seed from which others are counted on: below 2**63."""
    return _whole(text, 0, _FIRST)


def world(text: str) -> int:
    """The seed of one world: below 2**64."""
    return _whole(text, 0, _WORLDS)


def minutes(text: str) -> float:
    """A time in minutes, above zero, at most a year."""
    return _time(text, "minutes", _YEAR)


def seconds(text: str) -> float:
    """A time in seconds, above zero, at most a year."""
    return _time(text, "seconds", 60 * _YEAR)


def _time(text: str, unit: str, most: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise argparse.ArgumentTypeError(f"{_short(text)} is not a number of {unit} above 0 (at most {most})")
    return value


def policy(text: str) -> str:
    """A policy, as ``rtcore.sim.policy`` writes it."""
    try:
        return str(parse_policy(text))
    except PolicyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def port(text: str) -> int:
    """A TCP port; 0 lets the system choose."""
    return _whole(text, 0, 65_535)


def percent(text: str) -> int:
    """A speed in percent, above 0."""
    return _measure(text, "a speed in percent")


def lengths(text: str) -> tuple[int, ...]:
    """Lengths in milliseconds, above 0, with commas between."""
    return tuple(_measure(part, "a length in milliseconds") for part in text.split(","))


def _measure(text: str, what: str) -> int:
    try:
        return _whole(text, 1)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{_short(text)} is not {what}: a whole number above 0") from None


def _whole(text: str, least: int, most: int | None = None) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{_short(text)} is not a whole number of at least {least}")
    if most is not None and value > most:
        raise argparse.ArgumentTypeError(f"{_short(text)} is too large: at most {most}")
    return value


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
