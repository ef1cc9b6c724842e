"""The tree of frames of a recording."""

from __future__ import annotations

from depth_perception.core.transforms import TransformTree
from depth_perception.evaluation.bags import Recording

TF_MESSAGE = 'tf2_msgs/msg/TFMessage'


def tree_from_recording(recording: Recording) -> TransformTree | None:
    """Return the tree of all TF messages of a recording; None if it has none.

    All samples are kept, 64 bytes each, because an image may need one recorded after it.
    """
    topics = recording.topics(TF_MESSAGE)
    if not topics:
        return None
    tree = TransformTree()
    for message in recording.messages(topics):
        tree.add(message.content, static='static' in message.topic)
    return tree
