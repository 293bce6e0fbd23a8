"""Calls of some minutes on the real clock, whose server is a process that is killed, stopped and started again (``make lines``).

Every process writes down what it saw: the server what it said and was told (``server.py``), each client what it asked for, what
it was told and what was audible (``client.py``). Afterwards a judge that believes neither reads all of it (``judge.py``).
"""
