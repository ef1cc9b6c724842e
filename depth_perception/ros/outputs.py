"""What the nodes publish: each output is only made while somebody listens to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
import time

from depth_perception.inference.nav_clouds import NavClouds
from depth_perception.ros.output_kinds import (
    CameraInfoOutput,
    CloudOutput,
    CompressedDepthOutput,
    CompressedMillimetresOutput,
    confidence_of,
    DepthColourOutput,
    DisparityOutput,
    error_percent_of,
    ImageOutput,
    LABELS_INFO,
    LabelsOutput,
    NavOutput,
    Output,
    Result,
    SigmaColourOutput,
)
from depth_perception.ros.qos import mismatch
from rclpy.lifecycle import LifecycleNode

# The camera_info that leaves with each image: its sibling, as image_transport has it.
_SIBLINGS = {
    'depth/image_rect': 'depth/camera_info',
    'depth/image_rect/compressedDepth': 'depth/camera_info',
    'depth/image_raw': 'depth/camera_info',
    'depth/image_raw/compressedDepth': 'depth/camera_info',
    'uncertainty/image': 'uncertainty/camera_info',
    'confidence/image': 'confidence/camera_info',
    'depth/color': 'depth/camera_info',
    'uncertainty/color': 'uncertainty/camera_info',
    'confidence/error_percent': 'confidence/camera_info',
    'labels/image': LABELS_INFO,
}


def _outputs_of(node: LifecycleNode, *, stereo: bool) -> Iterator[Output]:
    for name in dict.fromkeys(_SIBLINGS.values()):
        yield CameraInfoOutput(node, name)
    yield ImageOutput(node, 'depth/image_rect', lambda e: e.depth)
    yield CompressedDepthOutput(node, 'depth/image_rect/compressedDepth')
    yield ImageOutput(node, 'depth/image_raw', lambda e: e.depth, encoding='16UC1')
    yield CompressedMillimetresOutput(node, 'depth/image_raw/compressedDepth')
    yield ImageOutput(node, 'uncertainty/image', lambda e: e.sigma)
    yield ImageOutput(node, 'confidence/image', confidence_of)
    yield DepthColourOutput(node, 'depth/color')
    yield SigmaColourOutput(node, 'uncertainty/color')
    yield ImageOutput(node, 'confidence/error_percent', error_percent_of)
    yield CloudOutput(node, 'points')
    clouds = NavClouds()
    yield NavOutput(node, 'points_nav', clouds.points)
    yield NavOutput(node, 'points_clear', clouds.ends)
    yield LabelsOutput(node, 'labels/image', clouds)
    if stereo:
        yield DisparityOutput(node, 'disparity')


class Outputs:
    """All topics of a node that carry a frame.

    Args:
        node: Node to publish with.
        stereo: Whether there is a disparity to publish.

    Raises:
        SettingsError: If a qos_overrides parameter of an output is not accepted.
    """

    def __init__(self, node: LifecycleNode, *, stereo: bool) -> None:
        self._node = node
        self._outputs: list[Output] = []
        try:
            for output in _outputs_of(node, stereo=stereo):
                self._outputs.append(output)
        except BaseException:
            self.destroy()
            raise

    def wanted(self) -> frozenset[str]:
        """Return the names of the outputs to make: those listened to, and their camera_info."""
        names = {output.name for output in self._outputs if output.wanted()}
        return frozenset(names | {_SIBLINGS[name] for name in names if name in _SIBLINGS})

    def publish(self, names: Collection[str], result: Result) -> dict[str, float]:
        """Make and publish the outputs `names` of one frame, and return the durations [ms]."""
        encode_s = publish_s = 0.0
        for output in self._outputs:
            if output.name not in names:
                continue
            start_s = time.perf_counter()
            message = output.message(result)
            made_s = time.perf_counter()
            if message is not None:
                output.publisher.publish(message)
            encode_s += made_s - start_s
            publish_s += time.perf_counter() - made_s
        return {'encode': encode_s * 1e3, 'publish': publish_s * 1e3}

    def mismatches(self) -> list[str]:
        """Return why subscribers do not match, for all outputs."""
        reasons = []
        for output in self._outputs:
            offered = output.publisher.qos_profile
            for endpoint in self._node.get_subscriptions_info_by_topic(output.name):
                reason = mismatch(offered, endpoint.qos_profile)
                if reason:
                    reasons.append(
                        f'{output.name}: subscriber {endpoint.node_name} does not match: {reason}'
                    )
        return reasons

    def destroy(self) -> None:
        """Give up all publishers."""
        for output in self._outputs:
            self._node.destroy_lifecycle_publisher(output.publisher)
        self._outputs = []
