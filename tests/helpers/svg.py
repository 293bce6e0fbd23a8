"""Pictures as a reader sees them: their texts, and whether one covers another."""

from itertools import combinations
from xml.etree import ElementTree

SPACE = "{http://www.w3.org/2000/svg}"


def texts_apart(root: ElementTree.Element, width: int, *, character_px: float = 6.4, small_px: float = 6.4) -> float:
    """No text leaves a picture ``width`` pixels wide, and none covers another; gives the picture's height.

    A character of a text of class ``pl-text`` takes ``character_px`` at the most, of any other ``small_px``.
    """
    height = float(root.attrib["viewBox"].split()[3])
    boxes = []
    for text in root.iter(f"{SPACE}text"):
        long = len(text.text or "") * (character_px if text.attrib["class"] == "pl-text" else small_px)
        left = float(text.attrib["x"]) - {"start": 0.0, "middle": long / 2, "end": long}[text.attrib.get("text-anchor", "start")]
        base = float(text.attrib["y"])
        assert left >= 0 and left + long <= width + 8 and 0 <= base <= height, text.text
        boxes.append((left, left + long, base - 10, base + 2, text.text))
    collisions = [
        (one[4], two[4])
        for one, two in combinations(boxes, 2)
        if one[0] < two[1] and two[0] < one[1] and one[2] < two[3] and two[2] < one[3]
    ]
    assert collisions == []
    return height
