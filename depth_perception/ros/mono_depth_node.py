"""The mono depth node: one camera in, metric depth with its standard deviation out."""

from __future__ import annotations

from collections.abc import Sequence
import sys
from typing import Any, final

from depth_perception.messages.frames import FrameReader, MonoReader
from depth_perception.parameters import MonoSettings
from depth_perception.ros.depth_node import DepthNode
from depth_perception.ros.spin import run
from depth_perception.ros.standard import bgr_by_cv_bridge


@final
class MonoDepthNode(DepthNode):
    """Publishes depth from image and its sibling camera_info."""

    settings_class = MonoSettings
    image_names = ('image',)

    def __init__(self, **options: Any) -> None:
        super().__init__('mono_depth_node', **options)

    def make_reader(self, topics: Sequence[str]) -> FrameReader:
        """Return what makes mono frames of messages."""
        return MonoReader(topics, self.settings, bgr_by_cv_bridge)


def main() -> int:
    """Run the node until it is told to stop."""
    return run(MonoDepthNode)


if __name__ == '__main__':
    sys.exit(main())
