"""The other side of the conversation, simulated: strict server, speaker, network, user, auditor and the world that runs them.

Everything here is as pure as the core: no IO, no clock, and the only chance is the seed's integer generator.
"""
