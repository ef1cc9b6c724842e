"""From the messages of one frame to the frame an estimator takes: decode, calibrate, rectify."""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final, TypeAlias

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import (
    MonoFrame,
    NOTHING_KNOWN,
    Picture,
    StereoFrame,
    Surroundings,
)
from depth_perception.core.stereo import StereoRig
from depth_perception.messages.cameras import (
    camera_from_info,
    info_key,
    rectification_needed,
    rig_from_infos,
)
from depth_perception.messages.compressed import picture_from_compressed
from depth_perception.messages.images import ForeignDecoder, picture_from_image
from depth_perception.messages.rectifier import Rectifier
from depth_perception.messages.stamps import stamp_ns_of
from depth_perception.parameters import NodeSettings

Frame: TypeAlias = 'MonoFrame | StereoFrame'


@dataclass(frozen=True)
class MessageSet:
    """The messages of one frame.

    Attributes:
        images: One image message per camera.
        infos: The camera_info of each.
        received_s: When the set was complete, on the clock of time.perf_counter.
        epoch: Changes when time jumped back, or frames were not received for a while: what was
            remembered of earlier frames is no longer of use.
        surroundings: What is known around the frame already.
    """

    images: tuple[Any, ...]
    infos: tuple[Any, ...]
    received_s: float
    epoch: int
    surroundings: Surroundings = NOTHING_KNOWN

    @property
    def stamp_ns(self) -> int:
        """Stamp of the first image [ns]."""
        return stamp_ns_of(self.images[0])


class CameraReader:
    """Decodes the images of one camera, and rectifies them where that is still to be done.

    Args:
        topic: Resolved topic of the images; its name tells whether they claim to be rectified.
        settings: Transport, size limit and whether to rectify.
        role: What to call the camera in messages, e.g. 'left'.
        foreign: Asked for encodings that are not known here.
    """

    def __init__(
        self, topic: str, settings: NodeSettings, role: str, foreign: ForeignDecoder | None
    ) -> None:
        self._topic = topic
        self._settings = settings
        self._role = role
        self._foreign = foreign
        self._rectifier: Rectifier | None = None

    def calibrate(self, info: Any) -> None:
        """Take over a new camera_info.

        Raises:
            CalibrationError: If it cannot be used.
        """
        needed = rectification_needed(info, self._topic, self._settings.input_rectified)
        self._rectifier = Rectifier(info, self._role) if needed else None

    def picture_from(self, message: Any) -> Picture:
        """Return the rectified picture of a message, raw or compressed.

        Raises:
            FrameError: If the message is no whole image of a known kind and of a sane size.
        """
        limit_px = self._settings.max_image_side_px
        if self._settings.image_transport == 'compressed':
            picture = picture_from_compressed(message, limit_px)
        else:
            picture = picture_from_image(message, limit_px, self._foreign)
        return self._rectifier.rectified(picture) if self._rectifier else picture


class FrameReader(abc.ABC):
    """Makes frames of message sets, and notices when the calibration changes.

    Attributes:
        calibrations: How often a calibration was taken over; 1 in an undisturbed run.
        surround: Gives frames what is known around them now; None: what their messages hold.
    """

    def __init__(self) -> None:
        self.calibrations = 0
        self.surround: Callable[[Frame], Frame] | None = None
        self._key: Hashable = None

    def frame_from(self, messages: MessageSet) -> MonoFrame | StereoFrame:
        """Return the frame of one set of messages, with the stamp and frame of its first image.

        Raises:
            FrameError: If an image cannot be used.
            CalibrationError: If a camera_info cannot be used.
        """
        key = tuple(info_key(info) for info in messages.infos)
        if key != self._key:
            self._key = None  # an unusable calibration must be refused at every frame
            self._calibrate(messages.infos)
            self._key = key
            self.calibrations += 1
        frame = self._frame(messages)
        return frame if self.surround is None else self.surround(frame)

    @abc.abstractmethod
    def _calibrate(self, infos: Sequence[Any]) -> None:
        """Take over new camera_infos."""

    @abc.abstractmethod
    def _frame(self, messages: MessageSet) -> MonoFrame | StereoFrame:
        """Return the frame of `messages` with the calibration in force."""


@final
class MonoReader(FrameReader):
    """Makes mono frames.

    Args:
        topics: Resolved topic of the images.
        settings: Transport, size limit and whether to rectify.
        foreign: Asked for encodings that are not known here.
    """

    def __init__(
        self,
        topics: Sequence[str],
        settings: NodeSettings,
        foreign: ForeignDecoder | None = None,
    ) -> None:
        super().__init__()
        self._reader = CameraReader(topics[0], settings, 'camera', foreign)
        self._camera: PinholeCamera

    def _calibrate(self, infos: Sequence[Any]) -> None:
        self._camera = camera_from_info(infos[0])
        self._reader.calibrate(infos[0])

    def _frame(self, messages: MessageSet) -> MonoFrame:
        image = messages.images[0]
        return MonoFrame(
            self._reader.picture_from(image),
            self._camera,
            messages.stamp_ns,
            image.header.frame_id,
            messages.surroundings,
        )


@final
class StereoReader(FrameReader):
    """Makes stereo frames.

    Args:
        topics: Resolved topics of the left and right images.
        settings: Transport, size limit and whether to rectify.
        foreign: Asked for encodings that are not known here.
    """

    def __init__(
        self,
        topics: Sequence[str],
        settings: NodeSettings,
        foreign: ForeignDecoder | None = None,
    ) -> None:
        super().__init__()
        self._left = CameraReader(topics[0], settings, 'left', foreign)
        self._right = CameraReader(topics[1], settings, 'right', foreign)
        self._rig: StereoRig

    def _calibrate(self, infos: Sequence[Any]) -> None:
        self._rig = rig_from_infos(*infos)
        self._left.calibrate(infos[0])
        self._right.calibrate(infos[1])

    def _frame(self, messages: MessageSet) -> StereoFrame:
        left, right = messages.images
        return StereoFrame(
            self._left.picture_from(left),
            self._right.picture_from(right),
            self._rig,
            messages.stamp_ns,
            left.header.frame_id,
            messages.surroundings,
        )
