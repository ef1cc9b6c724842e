"""Metric scale from the floor: the camera's height and tilt are known, so is the depth there.

The inverse depth of a flat floor is linear in the pixel (core.ground). Regressing it on the output
of a network over floor pixels gives scale and shift, as measured points would (networks.md 3.6).
Which pixels are floor is not known: those low in the middle of the image are offered, and most of
them must agree.

A floor that tilts by itself (a ramp) or a second flat surface (a table) looks like the floor to
an affine network: the shift, or the scale, absorbs the difference. Only what this pose predicts
for both axes of the image can be checked, and is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from depth_perception.core.camera import PinholeCamera
from depth_perception.core.frame import GroundPose
from depth_perception.core.scale_fit import fit_scale, fit_scale_shift, FitRules
from depth_perception.core.scale_types import (
    Outcome,
    References,
    Rejected,
    Rejection,
    sample_output,
    Samples,
    ScaleFit,
    Values,
)
from depth_perception.core.types import AnyArray
import numpy as np

_ROUGHNESS = 0.01  # of an even floor, as a fraction of its inverse depth

_FIT_RULES = FitRules(least_inliers=100, least_inlier_ratio=0.6, least_quadrants=1)


@dataclass(frozen=True)
class GroundRules:
    """What is taken for the floor, and when it is refused.

    Attributes:
        columns: Share of the width, from where to where the floor is looked for.
        rows: Share of the height.
        most_heights: Farthest floor used, in heights of the camera.
        points: Number of pixels offered, about.
        most_angle_rad: Greatest angle between the plane found and the floor expected [rad].
        fit: Rules of the fit.
    """

    columns: tuple[float, float] = (0.2, 0.8)
    rows: tuple[float, float] = (0.55, 1.0)
    most_heights: float = 8.0
    points: int = 1000
    most_angle_rad: float = math.radians(10.0)
    fit: FitRules = _FIT_RULES


DEFAULT_GROUND_RULES = GroundRules()


def ground_references(
    camera: PinholeCamera, pose: GroundPose, rules: GroundRules = DEFAULT_GROUND_RULES
) -> References:
    """Return where the floor should be, low in the middle of the image.

    Args:
        camera: Camera above the floor.
        pose: Where the floor is.
        rules: Which part of the image is offered.

    Returns:
        An even grid of pixels with the inverse depth of the floor; empty where the camera does
        not see the floor near enough.
    """
    left, right = (share * camera.width for share in rules.columns)
    top, bottom = (share * camera.height for share in rules.rows)
    step = max(1.0, math.sqrt((right - left) * (bottom - top) / rules.points))
    u = np.rint(np.arange(left, right - 0.5, step))
    v = np.rint(np.arange(top, bottom - 0.5, step))
    u, v = (grid.ravel() for grid in np.meshgrid(u, v))
    rho = _floor(camera, pose, u, v)
    near = rho * pose.height_m > 1.0 / rules.most_heights
    rho = rho[near]
    return References(u[near], v[near], rho, _ROUGHNESS * rho)


def in_depth(references: References) -> References:
    """Return references whose `rho` is a depth [m], for outputs that are affine in depth."""
    usable = references.rho > 0.0
    depth = 1.0 / references.rho[usable]
    sigma = np.square(depth) * references.sigma_rho[usable]
    return References(references.u[usable], references.v[usable], depth, sigma)


def fit_ground(
    output: AnyArray,
    camera: PinholeCamera,
    pose: GroundPose,
    *,
    affine: bool = True,
    depth_domain: bool = False,
    rules: GroundRules = DEFAULT_GROUND_RULES,
) -> Outcome:
    """Return the scale that makes the floor lie where it is, or why it cannot be trusted.

    The doubt about the pose is common to all pixels, so it joins the covariance whole: height as
    a common factor, tilt as a shift of d rho = sigma_tilt / height.

    Args:
        output: (H, W) output in the domain of inverse depth, or of depth; NaN unknown.
        camera: Camera of the image.
        pose: Where the floor is.
        affine: Whether there is a shift to find.
        depth_domain: Whether the output is affine in depth.
        rules: What is taken for the floor, and when it is refused.
    """
    references = ground_references(camera, pose, rules)
    if not len(references):
        return Rejected(
            Rejection.NO_REFERENCES,
            f'a camera {pose.height_m:.2f} m above the floor, tilted '
            f'{math.degrees(pose.pitch_rad):.1f} degrees down, sees no floor nearer than '
            f'{rules.most_heights * pose.height_m:.1f} m low in its image',
        )
    if depth_domain:
        references = in_depth(references)
    samples = sample_output(output, references)
    if isinstance(samples, Rejected):
        return samples
    found = fit_scale_shift(samples, rules.fit) if affine else fit_scale(samples, rules=rules.fit)
    if isinstance(found, Rejected):
        return Rejected(found.reason, f'no floor was found low in the image: {found.text}')
    angle = _angle_to_floor(samples, found, camera, pose, depth_domain=depth_domain)
    if not angle <= rules.most_angle_rad:
        return Rejected(
            Rejection.LOW_INLIER_RATIO,
            f'the plane low in the image is tilted by {math.degrees(angle):.0f} degrees against '
            f'the floor, at most {math.degrees(rules.most_angle_rad):.0f} are allowed',
        )
    doubt = _pose_doubt(samples, found, pose, affine=affine, depth_domain=depth_domain)
    return replace(found, covariance=found.covariance + doubt)


def _floor(camera: PinholeCamera, pose: GroundPose, u: Values, v: Values) -> Values:
    """Return the inverse depth of the floor at pixels, see core.ground."""
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    nx, ny, nz = _down(pose)
    return np.asarray((nx * x + ny * y + nz) / pose.height_m)


def _down(pose: GroundPose) -> tuple[float, float, float]:
    """Return the unit vector towards the floor in the optical frame."""
    level = math.cos(pose.pitch_rad)
    return (
        level * math.sin(pose.roll_rad),
        level * math.cos(pose.roll_rad),
        math.sin(pose.pitch_rad),
    )


def _angle_to_floor(
    samples: Samples,
    fit: ScaleFit,
    camera: PinholeCamera,
    pose: GroundPose,
    *,
    depth_domain: bool,
) -> float:
    """Return the angle between the plane of the agreeing points and the floor [rad]."""
    found = fit.s * samples.o + fit.t
    limit = 3.0 * np.hypot(fit.sigma_model, samples.sigma_rho)
    agree = (np.abs(found - samples.rho) <= limit) & (found > 0.0)
    if int(agree.sum()) < 3:
        return math.inf
    rho = 1.0 / found[agree] if depth_domain else found[agree]
    x = (samples.column[agree] * camera.width - 0.5 - camera.cx) / camera.fx
    y = (samples.row[agree] * camera.height - 0.5 - camera.cy) / camera.fy
    plane = np.linalg.lstsq(np.stack([x, y, np.ones_like(x)], axis=1), rho, rcond=None)[0]
    length = float(np.linalg.norm(plane))
    if not length > 0.0:
        return math.inf
    return math.acos(min(1.0, max(-1.0, float(plane @ np.array(_down(pose))) / length)))


def _pose_doubt(
    samples: Samples, fit: ScaleFit, pose: GroundPose, *, affine: bool, depth_domain: bool
) -> Values:
    """Return the (2, 2) covariance of (s, t) that the doubt about height and tilt brings."""
    parameters = np.array([fit.s, fit.t])
    doubt = (pose.height_sigma_m / pose.height_m) ** 2 * np.multiply.outer(parameters, parameters)
    middle = float(np.median(samples.rho))
    shift = pose.tilt_sigma_rad / pose.height_m  # |d rho|
    if depth_domain:
        shift *= middle * middle  # |d Z| = Z^2 |d rho|
    if affine:
        doubt[1, 1] += shift**2
    else:
        doubt[0, 0] += (fit.s * shift / middle) ** 2
    return np.asarray(doubt)
