"""Planted bugs: does the world notice when the core is wrong?

    python -m mutants                        # every bug: found, by which invariant, in how many worlds
    python -m mutants --only late-audio-plays --jobs 1
    python -m mutants --behaviours           # which bug breaks the test of which behaviour
    python -m mutants --anchors              # does every bug still fit the core's text?

A planted bug is one line of ``src/rtcore`` written as a tired engineer would write it (``mutants/bugs``). Each is applied in a
temporary copy. It counts if a plain conversation passes with it, so that a demo would not show it, and if an invariant of a drawn
world breaks, not merely an exception; the real core must pass on the same worlds. A bug that is not found is a hole in the world.
"""
