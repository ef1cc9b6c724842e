"""Every parameter of the estimators and the nodes, declared once.

The ROS parameters, the YAML check, the command line and the reference page derive from these
classes. A double underscore in a field name is a dot in the parameter name.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth_perception.colour_parameters import ColourSettings
from depth_perception.errors import SettingsError
from depth_perception.ground_parameters import GroundSettings
from depth_perception.nav_parameters import NavSettings
from depth_perception.output_parameters import OutputSettings
from depth_perception.reference_parameters import ReferenceSettings
from depth_perception.settings import Checked, setting
from depth_perception.tensorrt_parameters import TensorRTSettings


@dataclass(frozen=True, kw_only=True)
class ScaleSettings(Checked):
    """Where the metres come from, for networks on one image."""

    scale__method: str = setting(
        'auto',
        'auto: a relative network climbs the ladder (references, ground, plug-in, prior) and a '
        'metric one is corrected by references where there are any; network: what it says, as it '
        'is; or one of the rungs alone.',
        choices=('auto', 'network', 'references', 'ground', 'plugin', 'prior'),
        live=True,
    )
    scale__stereo_references: int = setting(
        2000,
        'A network on one image, run in the stereo node, takes its scale from so many checked '
        'matches of the pair; 0: from none.',
        low=0,
        high=20_000,
        live=True,
    )
    scale__prior_s: float = setting(
        0.0,
        'Stored scale s of rho = s o + t; 0: that of the card, if it has one.',
        unit='1/m',
        low=0.0,
        high=1e6,
        live=True,
    )
    scale__prior_t: float = setting(
        0.0, 'Stored shift t.', unit='1/m', low=-1e6, high=1e6, live=True
    )
    scale__prior_sigma: float = setting(
        0.3,
        'Relative standard deviation of the stored scale; never taken below 0.3.',
        low=0.0,
        high=10.0,
        live=True,
    )
    scale__plugin: str = setting(
        '',
        'Entry point of the group depth_perception.scale that guesses a scale, e.g. from a '
        "caption; '': none. It runs code of another package.",
    )


@dataclass(frozen=True, kw_only=True)
class UncertaintySettings(Checked):
    """How sigma is made of the score of a model."""

    uncertainty__sources: str = setting(
        '',
        "Raw scores that sigma is made of, commas between; '': those of the model card; none: "
        'what the network and its card say.',
    )
    uncertainty__calibration_file: str = setting(
        '',
        "Calibration of sigma, made by `depth_perception calibrate`; '': that of the card, if it "
        'has one; none: take the score as it is.',
    )
    uncertainty__online: bool = setting(
        True,
        'Correct sigma, by 0.5 to 4 times, by what references (laser, landmarks) say of it.',
        live=True,
    )
    camera__focal_sigma_relative: float = setting(
        0.0,
        'Relative standard deviation of the focal length, as camera calibrators report it: '
        'sigma_f / f. Counts where metres come from it (stereo, intrinsics).',
        low=0.0,
        high=0.5,
        live=True,
    )


@dataclass(frozen=True, kw_only=True)
class EstimatorSettings(GroundSettings, ScaleSettings, UncertaintySettings, TensorRTSettings):
    """What mono and stereo estimators share."""

    model: str = setting(
        'auto', 'Model card: an id of `depth_perception models list`, or the path of a card.'
    )
    backend: str = setting(
        'auto', 'Runtime of the network.', choices=('auto', 'onnxruntime', 'tensorrt')
    )
    threads: int = setting(0, 'CPU threads of the matcher or network; 0: all.', low=0, high=256)
    min_depth_m: float = setting(
        0.2, 'Nearest depth kept; nearer is -Inf.', unit='m', low=0.01, high=100.0, live=True
    )
    max_depth_m: float = setting(
        20.0, 'Farthest depth kept; farther is +Inf.', unit='m', low=0.1, high=1000.0, live=True
    )
    max_relative_sigma: float = setting(
        0.3, 'Pixels with sigma / depth above this are unknown.', low=0.01, high=1.0, live=True
    )
    filters__speckle_area_px: int = setting(
        0,
        'Remove connected patches of depth smaller than this; 0: off.',
        unit='px',
        low=0,
        high=1_000_000,
        live=True,
    )
    filters__speckle_jump: float = setting(
        0.05,
        'Relative jump of inverse depth that separates two patches.',
        low=0.001,
        high=1.0,
        live=True,
    )
    filters__flying_pixels: bool = setting(
        True, 'Remove pixels that hang between a near and a far surface.', live=True
    )
    filters__flying_jump: float = setting(
        0.1, 'Relative jump of depth that makes an edge.', low=0.005, high=1.0, live=True
    )
    filters__flying_angle_deg: float = setting(
        2.0,
        'Surfaces seen at a smaller grazing angle are taken for an edge.',
        unit='deg',
        low=0.1,
        high=45.0,
        live=True,
    )
    filters__flying_sigmas: float = setting(
        2.0,
        'A step of depth only counts as flying if it exceeds this many sigma of the surfaces '
        'beside it; 0: whatever sigma is.',
        low=0.0,
        high=100.0,
        live=True,
    )
    filters__temporal: str = setting(
        'still',
        'Use of earlier frames. still: running mean by filters.temporal_weight; motion: fusion '
        'along the way of the camera by TF, weighted by sigma.',
        choices=('none', 'still', 'motion'),
        live=True,
    )
    filters__temporal_weight: float = setting(
        0.0,
        'still: weight of the past in a running mean of inverse depth; 0: off. For still cameras.',
        low=0.0,
        high=0.95,
        live=True,
    )
    filters__temporal_correlation: float = setting(
        0.0,
        'motion: share of the variance that consecutive frames have in common, which no number '
        'of frames averages away; 0: 0.5 for the builtin matcher, 0.9 for networks.',
        low=0.0,
        high=0.95,
        live=True,
    )

    @property
    def remembers(self) -> bool:
        """Whether earlier frames are part of an estimate."""
        still = self.filters__temporal == 'still' and self.filters__temporal_weight > 0.0
        return still or self.filters__temporal == 'motion'

    def check_together(self) -> None:
        """Check that the depth range is not empty.

        Raises:
            SettingsError: If min_depth_m is not below max_depth_m.
        """
        super().check_together()
        if self.min_depth_m >= self.max_depth_m:
            raise SettingsError(
                f'min_depth_m ({self.min_depth_m}) must be below max_depth_m ({self.max_depth_m})'
            )


@dataclass(frozen=True, kw_only=True)
class StereoEstimatorSettings(EstimatorSettings):
    """The stereo estimator: semi-global matching or a stereo network."""

    filters__max_sigma_px: float = setting(
        0.0,
        'Disparities less certain than this are unknown; 0: the limit that the model card names.',
        unit='px',
        low=0.0,
        high=1000.0,
        live=True,
    )
    sgbm__min_disparity: int = setting(
        0,
        'Least disparity searched, where sgbm.num_disparities is given.',
        unit='px',
        low=-256,
        high=1000,
    )
    sgbm__num_disparities: int = setting(
        0,
        'Number of disparities searched; 0: from infinity to min_depth_m by the calibration, '
        'at most 256.',
        unit='px',
        low=0,
        high=1024,
        step=16,
    )
    sgbm__block_size: int = setting(
        3, 'Side of the matched block.', unit='px', low=1, high=21, step=2
    )
    sgbm__mode: str = setting(
        '3way',
        'Paths of the aggregation: three and fast (3way), five (sgbm) or all eight (hh).',
        choices=('3way', 'sgbm', 'hh'),
    )
    sgbm__uniqueness: int = setting(
        15, 'Margin by which the best cost must win.', unit='%', low=0, high=99, live=True
    )
    sgbm__left_right_px: float = setting(
        1.0,
        'Greatest difference of left and right disparity; 0: no check, twice as fast.',
        unit='px',
        low=0.0,
        high=64.0,
        live=True,
    )
    sgbm__support: float = setting(
        0.6,
        'Fraction of the 9x9 neighbours that must be matched too; 0: off.',
        low=0.0,
        high=1.0,
        live=True,
    )
    sgbm__speckle_area_px: int = setting(
        100,
        'Remove patches of disparity smaller than this; 0: off.',
        unit='px',
        low=0,
        high=100_000,
        live=True,
    )
    sgbm__speckle_jump_px: float = setting(
        1.0,
        'Jump of disparity that separates two patches.',
        unit='px',
        low=0.1,
        high=64.0,
        live=True,
    )
    camera__baseline_sigma_relative: float = setting(
        0.0,
        'Relative standard deviation of the baseline, sigma_b / b: error of the distance of the '
        'cameras over that distance.',
        low=0.0,
        high=0.5,
        live=True,
    )
    camera__doffs_sigma_px: float = setting(
        0.0,
        'Standard deviation of cx right minus cx left; about 1.4 times the sigma of one cx.',
        unit='px',
        low=0.0,
        high=20.0,
        live=True,
    )


@dataclass(frozen=True, kw_only=True)
class MonoEstimatorSettings(EstimatorSettings):
    """The mono estimator: a network on one image."""


@dataclass(frozen=True, kw_only=True)
class NodeSettings(ReferenceSettings, NavSettings, ColourSettings, OutputSettings):
    """What both nodes need besides their estimator."""

    autostart: bool = setting(
        True, 'Configure and activate by itself; false leaves that to a lifecycle manager.'
    )
    image_transport: str = setting(
        'raw', 'Image type of the inputs.', choices=('raw', 'compressed')
    )
    input_rectified: str = setting(
        'auto',
        'Whether the input is rectified. auto: by the camera_info and the topic name; '
        'yes: trust it; no: rectify here.',
        choices=('auto', 'yes', 'no'),
    )
    max_image_side_px: int = setting(
        8192, 'Larger images are refused.', unit='px', low=16, high=16384
    )
    approximate_sync: bool = setting(
        False, 'Pair inputs whose stamps differ by up to the tolerance, instead of equal stamps.'
    )
    approximate_sync_tolerance_seconds: float = setting(
        0.01, 'Greatest difference of paired stamps.', unit='s', low=0.0, high=1.0
    )
    queue_size: int = setting(5, 'Messages kept per input while pairing.', low=1, high=100)
    cache_camera_info: bool = setting(
        False, 'Use the newest camera_info whatever its stamp, instead of pairing it by stamp.'
    )
    lazy: bool = setting(True, 'Subscribe to the inputs only while an output has a subscriber.')
    max_input_age_s: float = setting(
        0.5, 'Older input is dropped; 0: any age.', unit='s', low=0.0, high=3600.0, live=True
    )
    diagnostics_period_s: float = setting(
        1.0, 'Time between two diagnostics messages.', unit='s', low=0.1, high=60.0
    )


@dataclass(frozen=True, kw_only=True)
class StereoSettings(NodeSettings, StereoEstimatorSettings):
    """All parameters of the stereo depth node."""


@dataclass(frozen=True, kw_only=True)
class MonoSettings(NodeSettings, MonoEstimatorSettings):
    """All parameters of the mono depth node."""
