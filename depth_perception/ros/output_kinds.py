"""The kinds of topic that the nodes publish: each makes its message of a frame."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

from depth_perception.core.cloud import SigmaGate
from depth_perception.core.cloud_layout import CloudLayout
from depth_perception.core.colours import colourise, steady_depth_scale, steady_sigma_scale
from depth_perception.core.confidence import probability_within
from depth_perception.core.depth_units import error_percent_from_confidence
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
from depth_perception.ros.compressed_codec import (
    compressed_depth_from_depth,
    compressed_millimetres_from_depth,
)
from depth_perception.ros.disparity_codec import DisparityWriter
from depth_perception.ros.image_codec import ImageWriter
from depth_perception.ros.nav_codec import message_of_nav
from depth_perception.ros.qos import (
    output_overrides,
    output_qos,
    PublisherEventCallbacks,
)
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

LABELS_INFO = 'labels/camera_info'
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
    """An image on the grid of the depth."""

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        values: Callable[[DepthEstimate], AnyArray],
        encoding: str = '32FC1',
    ) -> None:
        super().__init__(node, name, Image)
        self._values = values
        self._writer = ImageWriter(encoding)

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
        if self.name == LABELS_INFO:
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
            settings.compressed_depth__format,
        )


@final
class CompressedMillimetresOutput(Output):
    """The depth image in millimetres as compressedDepth."""

    def __init__(self, node: LifecycleNode, name: str) -> None:
        super().__init__(node, name, CompressedImage)

    def message(self, result: Result) -> CompressedImage:
        """Return the compressed image."""
        settings = result.settings
        return compressed_millimetres_from_depth(
            result.estimate.depth,
            result.header,
            settings.compressed_depth__depth_max_m,
            settings.compressed_depth__png_level,
            settings.compressed_depth__format,
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
        layout = CloudLayout(settings.cloud__axes == 'body', settings.cloud__organised)
        header = labelled(result.header, settings.cloud__frame_id)
        return self._writer.write(result.estimate, result.picture, header, gate, layout)


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


def error_percent_of(estimate: DepthEstimate) -> AnyArray:
    """Return the probability [%] that the depth is off by more than 10 %, (H, W) float32."""
    return error_percent_from_confidence(confidence_of(estimate))


def labelled(header: Any, frame_id: str) -> Any:
    """Return a header with another frame; '' keeps its own."""
    return Header(stamp=header.stamp, frame_id=frame_id) if frame_id else header
