"""What the nodes publish: each output is only made while somebody listens to it."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
import time
from typing import Any, final

from depth_perception.core.cloud import SigmaGate
from depth_perception.core.colours import colourise, steady_depth_scale, steady_sigma_scale
from depth_perception.core.confidence import probability_within
from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.frame import MonoFrame, Picture, StereoFrame
from depth_perception.core.legend import with_legend
from depth_perception.core.nav_points import NavCloud
from depth_perception.core.nav_rules import NavRules
from depth_perception.core.nav_view import grid_camera
from depth_perception.core.types import AnyArray
from depth_perception.errors import SettingsError
from depth_perception.inference.nav_clouds import nav_rules, NavClouds
from depth_perception.ros.camera_codec import info_from_camera
from depth_perception.ros.cloud_codec import CloudWriter
from depth_perception.ros.compressed_codec import compressed_depth_from_depth
from depth_perception.ros.disparity_codec import DisparityWriter
from depth_perception.ros.image_codec import ImageWriter
from depth_perception.ros.nav_codec import message_of_nav
from depth_perception.ros.qos import (
    mismatch,
    output_overrides,
    output_qos,
    PublisherEventCallbacks,
)
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from stereo_msgs.msg import DisparityImage

CONFIDENCE_RELATIVE_ERROR = 0.1


@dataclass(frozen=True)
class Result:
    """What the messages of one frame are made of.

    Attributes:
        estimate: Depth and sigma.
        frame: What it was made of.
        header: Header of the (left) image message; all outputs carry it.
        settings: Settings the frame was served with, StereoSettings or MonoSettings.
    """

    estimate: DepthEstimate
    frame: MonoFrame | StereoFrame
    header: Any
    settings: Any

    @property
    def picture(self) -> Picture:
        """The rectified (left) image, for the colours of the cloud."""
        return self.frame.image


class Output(abc.ABC):
    """One topic.

    Attributes:
        name: Name of the topic relative to the node's namespace.
        publisher: Its lifecycle publisher, silent unless the node is active.

    Raises:
        SettingsError: If a qos_overrides parameter of the topic is not accepted.
    """

    def __init__(self, node: LifecycleNode, name: str, kind: type[Any]) -> None:
        self.name = name
        try:
            self.publisher = node.create_lifecycle_publisher(
                kind,
                name,
                output_qos(),
                event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
                qos_overriding_options=output_overrides(),
            )
        except (InvalidParameterTypeException, RuntimeError) as error:
            if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
                raise  # of rcl; for a wrong policy rclpy raises the plain class
            raise SettingsError(f'qos_overrides of {name}: {error}') from error

    def wanted(self) -> bool:
        """Return whether somebody listens."""
        return bool(self.publisher.get_subscription_count() > 0)

    @abc.abstractmethod
    def message(self, result: Result) -> Any:
        """Return the message of one frame, valid until the next call; None: publish nothing."""


@final
class ImageOutput(Output):
    """A 32FC1 image on the grid of the depth."""

    def __init__(
        self, node: LifecycleNode, name: str, values: Callable[[DepthEstimate], AnyArray]
    ) -> None:
        super().__init__(node, name, Image)
        self._values = values
        self._writer = ImageWriter('32FC1')

    def message(self, result: Result) -> Image:
        """Return the image."""
        return self._writer.write(self._values(result.estimate), result.header)


@final
class DepthColourOutput(Output):
    """Depth in colours, for people."""

    def __init__(self, node: LifecycleNode, name: str) -> None:
        super().__init__(node, name, Image)
        self._scale = steady_depth_scale()
        self._writer = ImageWriter('rgb8')

    def message(self, result: Result) -> Image:
        """Return the image."""
        settings, depth = result.settings, result.estimate.depth
        near_m, far_m = settings.color__depth_near_m, settings.color__depth_far_m
        scale = self._scale.scale_for(depth, near_m, far_m)
        scale = replace(scale, palette=settings.color__depth_palette)
        rgb = colourise(depth, scale)
        if settings.color__legend:
            rgb = with_legend(rgb, scale, 'depth [m]')
        return self._writer.write(rgb, result.header)


@final
class SigmaColourOutput(Output):
    """Sigma in colours, for people."""

    def __init__(self, node: LifecycleNode, name: str) -> None:
        super().__init__(node, name, Image)
        self._scale = steady_sigma_scale()
        self._writer = ImageWriter('rgb8')

    def message(self, result: Result) -> Image:
        """Return the image."""
        settings, sigma = result.settings, result.estimate.sigma
        scale = self._scale.scale_for(sigma, 0.0, settings.color__sigma_max_m)
        scale = replace(scale, palette=settings.color__sigma_palette)
        rgb = colourise(sigma, scale)
        if settings.color__legend:
            rgb = with_legend(rgb, scale, 'sigma [m]')
        return self._writer.write(rgb, result.header)


@final
class CameraInfoOutput(Output):
    """The camera_info beside an image; that of the labels is coarser."""

    def __init__(self, node: LifecycleNode, name: str) -> None:
        super().__init__(node, name, CameraInfo)

    def message(self, result: Result) -> CameraInfo:
        """Return the camera_info."""
        camera = result.estimate.camera
        if self.name == _SIBLINGS['labels/image']:
            camera = grid_camera(camera, nav_rules(result.settings))
        return info_from_camera(camera, result.header)


@final
class CompressedDepthOutput(Output):
    """The depth image as compressedDepth."""

    def __init__(self, node: LifecycleNode, name: str) -> None:
        super().__init__(node, name, CompressedImage)

    def message(self, result: Result) -> CompressedImage:
        """Return the compressed image."""
        settings = result.settings
        return compressed_depth_from_depth(
            result.estimate.depth,
            result.header,
            settings.compressed_depth__depth_max_m,
            settings.compressed_depth__depth_quantization,
            settings.compressed_depth__png_level,
        )


@final
class CloudOutput(Output):
    """The organised cloud with colour and uncertainty."""

    def __init__(self, node: LifecycleNode, name: str) -> None:
        super().__init__(node, name, PointCloud2)
        self._writer = CloudWriter()

    def message(self, result: Result) -> PointCloud2:
        """Return the cloud."""
        settings = result.settings
        gate = SigmaGate(settings.cloud__max_sigma_m, settings.cloud__max_sigma_relative)
        return self._writer.write(result.estimate, result.picture, result.header, gate)


NavMaker = Callable[[DepthEstimate, MonoFrame | StereoFrame, NavRules, Any], NavCloud | None]


@final
class NavOutput(Output):
    """A cloud for navigation; a frame that says too little has none."""

    def __init__(self, node: LifecycleNode, name: str, make: NavMaker) -> None:
        super().__init__(node, name, PointCloud2)
        self._make = make

    def message(self, result: Result) -> PointCloud2 | None:
        """Return the cloud."""
        settings = result.settings
        cloud = self._make(result.estimate, result.frame, nav_rules(settings), settings)
        return None if cloud is None else message_of_nav(cloud, result.header)


@final
class LabelsOutput(Output):
    """What the samples are that the clouds for navigation are made of, as mono8."""

    def __init__(self, node: LifecycleNode, name: str, clouds: NavClouds) -> None:
        super().__init__(node, name, Image)
        self._clouds = clouds
        self._writer = ImageWriter('mono8')

    def message(self, result: Result) -> Image:
        """Return the image."""
        settings = result.settings
        rules = nav_rules(settings)
        view = self._clouds.view(result.estimate, result.frame, rules, settings)
        return self._writer.write(view.labels, result.header)


@final
class DisparityOutput(Output):
    """The disparity image, of stereo only."""

    def __init__(self, node: LifecycleNode, name: str) -> None:
        super().__init__(node, name, DisparityImage)
        self._writer = DisparityWriter()

    def message(self, result: Result) -> DisparityImage:
        """Return the disparity image."""
        disparity = result.estimate.disparity
        assert disparity is not None  # only stereo nodes have this output
        return self._writer.write(disparity, result.header)


def confidence_of(estimate: DepthEstimate) -> AnyArray:
    """Return the probability that the depth is right to within 10 %, (H, W) float32."""
    return probability_within(
        estimate.depth,
        estimate.sigma,
        CONFIDENCE_RELATIVE_ERROR,
        estimate.tail,
        estimate.gross_share,
    )


# The camera_info that leaves with each image: its sibling, as image_transport has it.
_SIBLINGS = {
    'depth/image_rect': 'depth/camera_info',
    'depth/image_rect/compressedDepth': 'depth/camera_info',
    'uncertainty/image': 'uncertainty/camera_info',
    'confidence/image': 'confidence/camera_info',
    'depth/color': 'depth/camera_info',
    'uncertainty/color': 'uncertainty/camera_info',
    'labels/image': 'labels/camera_info',
}


def _outputs_of(node: LifecycleNode, *, stereo: bool) -> Iterator[Output]:
    for name in dict.fromkeys(_SIBLINGS.values()):
        yield CameraInfoOutput(node, name)
    yield ImageOutput(node, 'depth/image_rect', lambda e: e.depth)
    yield CompressedDepthOutput(node, 'depth/image_rect/compressedDepth')
    yield ImageOutput(node, 'uncertainty/image', lambda e: e.sigma)
    yield ImageOutput(node, 'confidence/image', confidence_of)
    yield DepthColourOutput(node, 'depth/color')
    yield SigmaColourOutput(node, 'uncertainty/color')
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
