"""Every exception the package raises on purpose.

A message says what was given, what is wanted and what to do about it.
"""


class DepthPerceptionError(Exception):
    """Base of every error raised on purpose by this package."""


class SettingsError(DepthPerceptionError, ValueError):
    """A setting has a wrong type, is out of its range, or contradicts another one."""


class ShapeError(DepthPerceptionError, ValueError):
    """An array does not have the shape or dtype its name promises."""


class CalibrationError(DepthPerceptionError, ValueError):
    """A camera calibration cannot be used: not finite, not positive, or not rectified."""


class FrameError(DepthPerceptionError, ValueError):
    """One input frame cannot be used; the next one may be fine.

    Attributes:
        cause: Short identifier of the reason, used as a counter name in the diagnostics.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class ModelError(DepthPerceptionError):
    """A model card, a weights file or a network output does not fit."""


class NotMetricError(ModelError):
    """A relative network has no source of scale, so it has no depth in metres to give."""


class BackendUnavailableError(ModelError):
    """A package or a device that a backend needs is missing; the message says what to install."""


class InferenceError(ModelError):
    """The runtime failed on a valid input."""


class RecordingError(DepthPerceptionError):
    """A recording cannot be read or lacks a topic; the message lists the topics there are."""
