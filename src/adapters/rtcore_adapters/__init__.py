"""Adapters: rtcore on a runtime. Sockets, wake-ups and audio devices live here, decisions about the protocol do not.

``rtcore_adapters.asyncio``, ``.trio`` and ``.threads`` offer conversations, ``rtcore_adapters.audio`` speakers and microphones,
``rtcore_adapters.cli`` the command line. Each adapter imports the core's public names and its own runtime, never another adapter.
"""
