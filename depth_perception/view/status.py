"""What the status of a depth node says, for the page and for finding the camera image."""

from __future__ import annotations

from typing import Any

_PICTURE_INPUTS = ('left/image_rect', 'image')


def status_as_dict(message: Any) -> dict[str, Any]:
    """Return a diagnostic_msgs/DiagnosticStatus as a dict that JSON can hold."""
    level = message.level
    return {
        'level': level[0] if isinstance(level, bytes) else int(level),
        'name': message.name,
        'message': message.message,
        'values': {pair.key: pair.value for pair in message.values},
    }


def picture_topic(status: dict[str, Any]) -> str:
    """Return the topic of the camera image that belongs to the depth; '' if it is not told.

    The node says where each input comes from: 'input image' is '/cam/image: 12 received, ...'.
    """
    values = status.get('values', {})
    for name in _PICTURE_INPUTS:
        topic = str(values.get(f'input {name}', '')).partition(':')[0]
        if topic.startswith('/'):
            return topic
    return ''
