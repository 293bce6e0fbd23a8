"""Prints what was measured, at the end of the run."""

import pytest

from device.pulse import FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in FIGURES:
        terminalreporter.write_line(line)
