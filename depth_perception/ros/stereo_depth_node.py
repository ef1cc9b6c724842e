"""The stereo depth node: a rectified pair in, metric depth with its standard deviation out."""

from __future__ import annotations

from collections.abc import Sequence
import sys
from typing import Any, final

from depth_perception.messages.frames import FrameReader, StereoReader
from depth_perception.parameters import StereoSettings
from depth_perception.ros.depth_node import DepthNode
from depth_perception.ros.spin import run
from depth_perception.ros.standard import bgr_by_cv_bridge


@final
class StereoDepthNode(DepthNode):
    """Publishes depth from left/image_rect and right/image_rect."""

    settings_class = StereoSettings
    image_names = ('left/image_rect', 'right/image_rect')

    def __init__(self, **options: Any) -> None:
        super().__init__('stereo_depth_node', **options)

    def make_reader(self, topics: Sequence[str]) -> FrameReader:
        """Return what makes stereo frames of messages."""
        return StereoReader(topics, self.settings, bgr_by_cv_bridge)


def main() -> int:
    """Run the node until it is told to stop."""
    return run(StereoDepthNode)


if __name__ == '__main__':
    sys.exit(main())
