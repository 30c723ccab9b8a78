"""The last state of every object as the children reported it; a replaced child receives it first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from kad.shared.framing import BadFrame, Frame

MOST_OBJECTS = 131_072
MOST_BYTES = 64 * 1024 * 1024
"""Of one child. 10,000 real servers are about 5 MB; a child that says more than this is not kad's any more."""


class States:
    """Bounded for each child that says them."""

    def __init__(self) -> None:
        self._frames: dict[tuple[int, str], tuple[str, Frame]] = {}
        """With the name of the child that said it."""
        self._objects: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._frames)

    def keep(self, sender: str, frame: Frame) -> None:
        """In place of what was said of the object before. Raises BadFrame: the child says too much."""
        place, size = (frame.kind, frame.key), _size(frame)
        earlier, before = self._frames.get(place, (sender, None))
        if earlier != sender:
            raise BadFrame(f"it speaks of {frame.key!r}, which is the matter of the {earlier} process")
        objects = self._objects[sender] + (before is None)
        count = self._bytes[sender] + size - (_size(before) if before is not None else 0)
        if objects > MOST_OBJECTS or count > MOST_BYTES:
            raise BadFrame(f"it says more than {MOST_OBJECTS} objects or {MOST_BYTES} bytes of states")
        self._frames[place] = sender, frame
        self._objects[sender], self._bytes[sender] = objects, count

    def forget(self, sender: str, frame: Frame) -> None:
        """The object of this frame is no longer. Raises BadFrame: it is that of another child."""
        place = (frame.kind, frame.key)
        earlier, before = self._frames.get(place, (sender, None))
        if earlier != sender:
            raise BadFrame(f"it speaks of {frame.key!r}, which is the matter of the {earlier} process")
        if before is not None:
            del self._frames[place]
            self._objects[sender] -= 1
            self._bytes[sender] -= _size(before)

    def forget_sender(self, sender: str) -> None:
        """Nothing that this child has said is believed any more."""
        self._frames = {key: kept for key, kept in self._frames.items() if kept[0] != sender}
        self._objects.pop(sender, None)
        self._bytes.pop(sender, None)

    def of_kinds(self, kinds: Collection[int]) -> Iterator[Frame]:
        """In the order in which the objects were first spoken of."""
        return (frame for (kind, _), (_, frame) in list(self._frames.items()) if kind in kinds)


def _size(frame: Frame) -> int:
    return len(frame.key) + len(frame.body)
