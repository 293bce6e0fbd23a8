"""One sentence on what each kind of event means: of notices and effects the first of their own documentation."""

import re

import rtcore

_EVENTS = {
    # what a client tells the server
    "session.update": "Sets up the session: instructions, voice, tools, turn detection. The server answers what then counts.",
    "session.close": "Asks the server to end the session.",
    "input_audio_buffer.commit": "Ends the user's turn: the audio sent so far becomes an item of the conversation.",
    "input_audio_buffer.clear": "Drops the user's audio that is not an item yet.",
    "output_audio_buffer.clear": "Asks a server that sounds the answer itself to be silent.",
    "conversation.item.create": "Puts an item into the conversation: typed text, a function's output, what was said before.",
    "conversation.item.truncate": "Tells the server how much of a message was heard, so that the model forgets the rest.",
    "conversation.item.delete": "Takes an item out of the conversation: nothing of it was heard.",
    "conversation.item.retrieve": "Asks for the server's own copy of an item.",
    "response.create": "Asks the model for an answer.",
    "response.cancel": "Ends the response that is being generated.",
    # what a server tells the client
    "conversation.created": "The server has begun a conversation; it is empty.",
    "session.created": "The server has begun a session, with its own settings.",
    "session.updated": "The server acknowledges settings: from here on these count.",
    "conversation.item.added": "The server announces an item, and its place in the conversation.",
    "conversation.item.created": "The server announces an item, and its place in the conversation.",
    "conversation.item.done": "The item is complete on the server.",
    "conversation.item.truncated": "The server acknowledges the truncation: what was not heard is gone there, too.",
    "conversation.item.deleted": "The server acknowledges that the item is gone.",
    "conversation.item.input_audio_transcription.completed": "What the user said, as the server wrote it down.",
    "conversation.item.input_audio_transcription.failed": "The user's words could not be written down.",
    "input_audio_buffer.speech_started": "The server's turn detection hears a voice: a barge-in, if the model can be heard.",
    "input_audio_buffer.speech_stopped": "The server's turn detection hears that the voice has ended.",
    "input_audio_buffer.committed": "The user's audio has become an item.",
    "input_audio_buffer.cleared": "The user's audio that was no item yet is gone.",
    "output_audio_buffer.started": "The server, which sounds the answer itself, has begun.",
    "output_audio_buffer.stopped": "The server, which sounds the answer itself, has sounded all of it.",
    "output_audio_buffer.cleared": "The server, which sounds the answer itself, is silent.",
    "response.created": "The server has begun a response; what belongs to it follows.",
    "response.done": "The server has generated the response. It may be heard for a long time yet.",
    "response.output_item.added": "A part of the response begins: a message or a function call.",
    "response.output_item.done": "This part of the response is generated.",
    "response.content_part.added": "A message gets a part: sound, or text.",
    "response.content_part.done": "This part of the message is generated.",
    "response.output_audio.done": "All audio of this part was sent. It may be heard for a long time yet.",
    "response.audio.done": "All audio of this part was sent. It may be heard for a long time yet.",
    "response.output_audio_transcript.done": "The whole text of the part, heard or not.",
    "response.audio_transcript.done": "The whole text of the part, heard or not.",
    "response.output_text.done": "The whole text of the part.",
    "response.text.done": "The whole text of the part.",
    "response.function_call_arguments.done": "The arguments of a function call are complete.",
    "error": "The server reports an error; the session goes on unless it is fatal.",
    "input_audio_buffer.timeout_triggered": "Nobody spoke for the time that the session set: the server speaks up by itself.",
    "input_audio_buffer.dtmf_event_received": "The caller pressed a key of the telephone.",
    "input_audio_buffer.append_video_frame": "A picture for the model, where the server takes one.",
    "conversation.item.input_audio_transcription.revised": "The server has written the user's words down once more.",
    "transcription_session.update": "Sets up a session that only transcribes.",
    "transcription_session.updated": "The server acknowledges settings: from here on these count.",
    "mcp_list_tools.in_progress": "The server asks a remote server for its tools.",
    "mcp_list_tools.completed": "The server knows a remote server's tools.",
    "mcp_list_tools.failed": "The server could not get a remote server's tools.",
    "response.mcp_call_arguments.done": "The arguments of a call to a remote tool are complete.",
    "response.mcp_call.in_progress": "The server runs a remote tool.",
    "response.mcp_call.completed": "The server has run a remote tool.",
    "response.mcp_call.failed": "A remote tool failed.",
    "unreadable": "A message that is no event of the protocol; it is told by a warning, and the session goes on.",
    # what the timeline itself makes of many events
    "response": "A response, from its beginning to the end of its generation. Sound is heard longer than it is generated.",
    "audio": "The audio of an item, from its first to its last piece, as it came. The slope says how much had come.",
    "message": "A message of the model's, from its first to its last audible sample, and its verdict.",
    "speech": "A person speaks, as the turn detection tells it: later than it was by the time that the detection takes.",
    "flushed": "The clock's answer to a flush: silent now, and how many samples of this generation were audible in all.",
    "connected": "The connection to the server is open.",
    "disconnected": "The connection to the server has ended.",
    "underrun": "The clock has sounded all it was given, while more is to come.",
    "device": "The audio device was lost, or is ready again.",
    "raised": "A call that cannot be: it raised, and changed nothing.",
}

_CALLS = {
    "open": "The session begins.",
    "close": "The session is to end in order.",
    "send_text": "The user's words, typed; by default the model answers.",
    "respond": "Asks the model to speak.",
    "interrupt": "Silence the model.",
    "tool_result": "The output of a function that the model called.",
    "update": "Changes settings of the session.",
    "speech": "A detector beside the microphone hears a voice, or its end.",
}

_REFERENCE = re.compile(r" \((?:(?:[BCFS]\d+|invariant \d+|facts [\d.]+|DESIGN(?: section)? \d+)(?:, )?)+\)")
"""Where a sentence has its rule from; that is for those who read the code."""


def explained(kind: str) -> str:
    """What an event of this kind means; empty where there is nothing to say that its name does not."""
    if kind in _EVENTS:
        return _EVENTS[kind]
    if kind in _CALLS:
        return _CALLS[kind]
    # A name that a server thought of is no name of ours.
    found = None if kind.startswith("_") else vars(rtcore).get(kind) or vars(rtcore.Session).get(kind)
    words = re.sub(r"\s+", " ", (found.__doc__ or "").replace("``", "")).strip() if found is not None else ""
    first = re.match(r".+?[.](?= |$)", _REFERENCE.sub("", words))
    return "" if first is None else first[0]
