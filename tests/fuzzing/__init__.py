"""Fuzz targets: plain functions that raise where a promise is broken, and the strategies that feed them.

``targets.TARGETS`` names them. Hypothesis runs them in ``test_prop_targets.py``; a coverage-guided fuzzer drives the same
functions by bytes, through ``fuzz_one_input``.
"""
