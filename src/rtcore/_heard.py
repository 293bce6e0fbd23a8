"""Text in step with sound: which part of a transcript was heard.

The protocol gives no word times (F105), so the position is estimated from the share of the received audio that was heard. It is
exact at nothing and at everything, never goes back as more is heard, and ends at a whole word, so that no half word is claimed.
"""


def heard_text(text: str, heard: int, received: int) -> str:
    """The prefix of ``text`` that was heard when ``heard`` of ``received`` samples were (B30, S05).

    Whole words only; a text without spaces is cut at a character.
    """
    if heard <= 0 or received <= 0:
        return ""
    if heard >= received:
        return text
    end = len(text) * heard // received
    if text[end : end + 1].isspace() or not any(map(str.isspace, text)):
        return text[:end].rstrip()
    while end and not text[end - 1].isspace():
        end -= 1
    return text[:end].rstrip()
