"""From the raw score of a model to the sigma of its inverse depth, by a calibration file.

Convention:
    u raw score; sigma_x = curve(u) in the domain x of the model's errors; rho = 1 / Z. To first
    order, disparity D = rho f b: sigma_rho = sigma_d / (f b); log depth: sigma_rho = rho sigma_ln;
    inverse depth: as it is. Errors of the camera's calibration are relative errors of Z and thus
    of rho: (sigma_Z / Z)^2 += (sigma_f / f)^2 + (sigma_b / b)^2, and sigma_doffs is one of D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
import hashlib
import math
from pathlib import Path

from depth_perception.core.calibration_curve import sigma_of
from depth_perception.core.estimate import Domain, RawScore, Rung
from depth_perception.core.stereo import StereoRig
from depth_perception.core.types import InverseDepthMap, SigmaMap
from depth_perception.errors import ModelError
from depth_perception.inference.calibration_file import CalibrationFile, read_calibration
from depth_perception.inference.cards import artifact_path, file_sha256, ModelCard
from depth_perception.parameters import EstimatorSettings, StereoEstimatorSettings
from depth_perception.resources import user_cache
from depth_perception.settings import declarations_of, Scalar
import numpy as np
from numpy.typing import NDArray

NO_CALIBRATION = 'none'
_DOMAINS: Mapping[str, tuple[Domain, ...]] = {
    'stereo': ('disparity_px', 'inverse_depth_1_per_m', 'log_depth'),
    'mono': ('inverse_depth_1_per_m', 'log_depth'),
}
_OF_THE_MATCHER = (
    'sgbm.block_size', 'sgbm.mode', 'sgbm.uniqueness', 'sgbm.left_right_px', 'sgbm.support',
)  # fmt: skip
_OF_ALL = ('filters.temporal', 'filters.temporal_weight')
_NOT_OF_THE_CARD = ('calibration', 'disparity_limit_px')
_NOT_OF_THE_SCORE = ('uncertainty.calibration_file', 'uncertainty.online')


@dataclass(frozen=True)
class SigmaModel:
    """The calibrated sigma of a model, or that there is none.

    Attributes:
        calibration: What the calibration file holds; None without one.
        warning: What the user should know of it, e.g. that it was made with other settings; ''
            if nothing.
    """

    calibration: CalibrationFile | None = None
    warning: str = ''

    @classmethod
    def of(cls, card: ModelCard, settings: EstimatorSettings, score: str = '') -> SigmaModel:
        """Return the sigma of a model as the card and the settings ask for.

        The file of the card is for the sources of the card. Where the settings want others, it
        does not count, and the warning says so; a file that the settings name must fit.

        Args:
            card: The model.
            settings: May name another file than the card's, and other sources.
            score: Name of the score that the estimates will have; '' if it is not known yet.

        Raises:
            ModelError: If the calibration file cannot be read, was made for another model or
                another version of its file, or is in a domain that the model has not.
        """
        path = calibration_path(card, settings)
        if path is None:
            return cls()
        found = read_calibration(path)
        found.check_model(card.id, network_sha256(card))
        if found.domain not in _DOMAINS[card.task]:
            raise ModelError(
                f'{path}: its sigma is in {found.domain}, which {card.id} has not; a {card.task} '
                f'model wants {" or ".join(_DOMAINS[card.task])}'
            )
        if score not in ('', found.score):
            problem = (
                f'{path.name} calibrates the score {found.score!r}, but uncertainty.sources give '
                f'{score!r}'
            )
            if settings.uncertainty__calibration_file:
                raise ModelError(f'{problem}; calibrate again with these sources')
            return cls(None, f'{problem}: sigma is not calibrated')
        return cls(found, _difference(found, score_settings(card, settings)))

    @property
    def name(self) -> str:
        """File name of the calibration; 'none' without one."""
        return NO_CALIBRATION if self.calibration is None else self.calibration.path.name

    @property
    def gross_share(self) -> float:
        """Share of gross errors that no sigma foresees, for `core.confidence`; 0 if not known."""
        return 0.0 if self.calibration is None else self.calibration.figures.beyond_5_sigma

    def check_score(self, score: RawScore) -> None:
        """Check that a score is the one that the calibration is for.

        Raises:
            ModelError: If it is another one, or in another domain.
        """
        found = self.calibration
        if found is not None and (score.name, score.domain) != (found.score, found.domain):
            raise ModelError(
                f'{found.path}: calibrates the score {found.score!r} in {found.domain}, but '
                f'{found.model} gives {score.name!r} in {score.domain} here; calibrate again, or '
                f'set uncertainty.calibration_file to {NO_CALIBRATION}'
            )

    def sigma_domain(self, values: NDArray[np.float32]) -> SigmaMap:
        """Return sigma of raw scores, in the domain of the calibration.

        Args:
            values: (...) float32 raw scores, higher is worse.

        Returns:
            The same shape, float32; NaN where the score is NaN, infinite or negative. The scores
            themselves where there is no calibration.
        """
        if self.calibration is None:
            return values
        return sigma_of(self.calibration.curve, values)

    def sigma_rho(
        self, score: RawScore, rho: InverseDepthMap, rig: StereoRig | None = None
    ) -> SigmaMap:
        """Return sigma of the inverse depth from the raw score of a frame.

        Args:
            score: Raw score.
            rho: (H, W) float32 inverse depth [1/m], for scores in log depth.
            rig: Of a pair, for scores in disparity.

        Returns:
            (H, W) float32 [1/m]; NaN where score or, in log depth, `rho` is not known.

        Raises:
            ModelError: If the score is not the one of the calibration, or its domain has no
                metres.
        """
        self.check_score(score)
        return sigma_rho_from_domain(self.sigma_domain(score.values), score.domain, rho, rig)


def sigma_rho_from_domain(
    sigma: SigmaMap, domain: Domain, rho: InverseDepthMap, rig: StereoRig | None = None
) -> SigmaMap:
    """Return sigma of the inverse depth [1/m] from one in the domain of the errors.

    Args:
        sigma: (H, W) float32 [px for disparity, 1/m for inverse depth, 1 for log depth].
        domain: What `sigma` is in.
        rho: (H, W) float32 [1/m], used by log depth.
        rig: Used by disparity.

    Raises:
        ModelError: If there is no rig for disparity, or the domain has no metres.
    """
    if domain == 'inverse_depth_1_per_m':
        return sigma
    if domain == 'log_depth':
        relative: SigmaMap = np.multiply(sigma, np.abs(rho), dtype=np.float32)
        return relative
    if domain == 'disparity_px' and rig is not None:
        of_disparity: SigmaMap = np.multiply(
            sigma, np.float32(1.0 / rig.focal_baseline), dtype=np.float32
        )
        return of_disparity
    raise ModelError(f'a sigma in {domain} has no metres here')


def with_camera_error(
    sigma_rho: SigmaMap,
    rho: InverseDepthMap,
    settings: EstimatorSettings,
    rung: Rung,
    rig: StereoRig | None = None,
) -> SigmaMap:
    """Return sigma of the inverse depth with the errors of the camera's calibration.

    The focal length counts where metres come from it (stereo, intrinsics), the baseline and the
    offset of the principal points for stereo.

    Args:
        sigma_rho: (H, W) float32 [1/m] without them.
        rho: (H, W) float32 [1/m].
        settings: Hold the standard deviations.
        rung: Where the metres come from.
        rig: Of a pair.

    Returns:
        (H, W) float32 [1/m]; `sigma_rho` itself where nothing is to be added.
    """
    relative = camera_relative_sigma(settings, rung)
    offset = 0.0
    if rung is Rung.STEREO and rig is not None and isinstance(settings, StereoEstimatorSettings):
        offset = settings.camera__doffs_sigma_px / rig.focal_baseline
    if relative == 0.0 and offset == 0.0:
        return sigma_rho
    variance = np.square(sigma_rho)
    if relative > 0.0:
        variance += np.square(rho * np.float32(relative))
    variance += np.float32(offset * offset)
    whole: SigmaMap = np.sqrt(variance, out=variance)
    return whole


def camera_relative_sigma(settings: EstimatorSettings, rung: Rung) -> float:
    """Return the relative standard deviation that the camera's calibration gives all depths."""
    focal = settings.camera__focal_sigma_relative
    if rung is Rung.STEREO and isinstance(settings, StereoEstimatorSettings):
        return math.hypot(focal, settings.camera__baseline_sigma_relative)
    return focal if rung in (Rung.STEREO, Rung.INTRINSICS) else 0.0


def calibration_path(card: ModelCard, settings: EstimatorSettings) -> Path | None:
    """Return the calibration file of a model; None if it has none or it is switched off.

    The parameter wins over the card. A plain file name is looked for beside the card, then among
    the fetched models; anything else is a path.

    Raises:
        ModelError: If the file is not there.
    """
    named = settings.uncertainty__calibration_file or card.uncertainty.calibration
    if named in ('', NO_CALIBRATION):
        return None
    places = [Path(named).expanduser()]
    if Path(named).name == named:
        beside = [card.path.parent / named, user_cache() / 'models' / named]
        places = [*places, *beside] if settings.uncertainty__calibration_file else beside
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ModelError(
            f'{card.id}: the calibration {named} is not in '
            f'{" or ".join(str(place.parent) for place in places)}; make one with '
            f'`depth_perception calibrate`, or set uncertainty.calibration_file to '
            f'{NO_CALIBRATION}'
        )
    return found


def network_sha256(card: ModelCard) -> str:
    """Return the sha256 of the network file of a card; '' for builtin matchers.

    Raises:
        ModelError: If the file is missing.
    """
    if card.builtin is not None:
        return ''
    return card.artifact.sha256 or file_sha256(artifact_path(card))


def score_settings(card: ModelCard, settings: EstimatorSettings) -> dict[str, Scalar]:
    """Return parameter -> value of what changes the score of a model, or its errors at a score.

    `card` is a short hash of what the card says of it.
    """
    declared = declarations_of(type(settings))
    matches = card.builtin is not None or card.matcher
    names = [*_OF_ALL, *(_OF_THE_MATCHER if matches else ())]
    names += [
        name
        for name in declared
        if name.startswith('uncertainty.') and name not in _NOT_OF_THE_SCORE
    ]
    found = {name: getattr(settings, declared[name].field) for name in names if name in declared}
    return {**found, 'card': _card_digest(card)}


def _card_digest(card: ModelCard) -> str:
    """Return a short hash of what a card says of its score, where it is not the default."""
    parts = [
        (one.name, getattr(part, one.name))
        for part in (card.uncertainty, card.confidence)
        if part is not None
        for one in fields(part)
        if one.name not in _NOT_OF_THE_CARD and getattr(part, one.name) != one.default
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _difference(found: CalibrationFile, now: Mapping[str, Scalar]) -> str:
    """Return what is not as it was when the calibration was made, in one sentence."""
    parts = [
        f'{name} was {value}, is {now[name]}'
        for name, value in found.settings.items()
        if name in now and now[name] != value
    ]
    if not parts:
        return ''
    return (
        f'{found.path.name} was calibrated with other settings ({"; ".join(parts)}), so sigma may '
        'be wrong; calibrate again with these'
    )
