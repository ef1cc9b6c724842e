"""The matches of a matcher and the answer of a stereo network, put together pixel by pixel.

A matcher is exact below a pixel where there is texture, but takes one thing for another now and
then, and says nothing of bare and hidden places. A network answers everywhere and is seldom far
off, but is less exact. So where they are near to each other their mean counts, which is mostly
the match, and the network elsewhere. How far both differ, here and around here, tells more of the
error than either does.

The score is a power law of the cues, fitted as the scale of a Student-t distribution of the errors
by `benchmark/fit_stereo_fusion.py`; a calibrated curve makes sigma of it.

Speed:
    What is around a pixel is taken on a grid of every fourth one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

from depth_perception.core.types import AnyArray, DisparityMap, SigmaMap
import numpy as np
from numpy.typing import NDArray

AGREEMENT_PX = 3.0  # a match this near to the network counts, too
AGREEMENT_SIGMAS = 3.0  # or this near, in units of what the network takes for its error
MOST_REACH_PX = 24.0  # but never farther away than this
UNCHECKED_PX = 1.0  # difference of a match that the network has no answer for
MOST_DIFFERENCE_PX = 4.0  # in the mean around a pixel, so that one gross error is not all of it
NO_MATCH_PX = 1.0  # that mean where there is no match around

NETWORK_SHARE = 0.5  # of the weight that the inverse of its variance would give it
MATCH_WEIGHTS = {'constant': -0.754, 'score': 0.743, 'difference': 0.999}
NETWORK_WEIGHTS = {'constant': -0.16, 'score': 0.895, 'around': 0.686, 'difference': 0.401}

_STRIDE, _WINDOW = 4, 9  # of the grid: 36 px
_LEAST_MATCHED = 0.02
_AROUND_FLOOR_PX = 0.2
_LEAST_SCORE_PX = 1e-3

_Field = NDArray[np.float32]


def wanted_range(disparity: DisparityMap, sigma: SigmaMap) -> tuple[float, float] | None:
    """Return the least and the greatest disparity [px] of a match that could count.

    Args:
        disparity: (H, W) float32 [px] of the network, NaN where it has no answer.
        sigma: (H, W) float32 [px], what it takes for its error.

    Returns:
        None where the network has no answer at some pixel, so that every match counts there.
    """
    reach = _reach(sigma)
    low, high = float((disparity - reach).min()), float((disparity + reach).max())
    return (low, high) if np.isfinite(low) and np.isfinite(high) else None


def fused(
    cv2: ModuleType,
    matched: tuple[DisparityMap, SigmaMap],
    network: tuple[DisparityMap, SigmaMap],
) -> tuple[DisparityMap, SigmaMap]:
    """Return the disparity and how large its error is likely to be.

    Args:
        cv2: OpenCV.
        matched: (H, W) float32 disparity and score [px] of the matcher, NaN without a match.
        network: The same of the network, NaN where it has no answer.

    Returns:
        (H, W) float32 disparity [px] and score [px] above 0; NaN where neither has an answer.
    """
    found = cues(cv2, matched, network)
    use = found['use'] > 0.0
    own = [_power_law(cv2, found, weights) for weights in (MATCH_WEIGHTS, NETWORK_WEIGHTS)]
    weight = _match_weight(*own)
    weight *= found['use']
    disparity = _mean(matched[0], network[0], weight)
    power = np.where(use, *(np.float32(w['difference']) for w in (MATCH_WEIGHTS, NETWORK_WEIGHTS)))
    power *= log_cues(cv2, found, MATCH_WEIGHTS, ('difference',))['difference']
    score: SigmaMap = np.where(use, *own)
    score *= cv2.exp(power, dst=power)
    score[np.isnan(disparity)] = np.nan
    return disparity, score


def cues(
    cv2: ModuleType,
    matched: tuple[DisparityMap, SigmaMap],
    network: tuple[DisparityMap, SigmaMap],
) -> dict[str, _Field]:
    """Return what the score is made from; see `fused` for the arguments.

    Returns:
        (H, W) float32 each: `use`, 1 where the match counts; `match_score` and `network_score`
        [px]; `difference` [px] between match and network, 0 without a match; `around`, its mean
        [px] around the pixel.
    """
    difference = cv2.absdiff(matched[0], network[0])
    limit = _reach(network[1])
    with np.errstate(invalid='ignore'):
        use = difference <= limit
    alone = np.isnan(network[0]) & ~np.isnan(matched[0])
    if alone.any():
        use |= alone
        difference[alone] = UNCHECKED_PX
    known = ~np.isnan(difference)
    difference[~known] = 0.0
    return {
        'use': use.astype(np.float32),
        'match_score': matched[1],
        'network_score': network[1],
        'difference': difference,
        'around': _around(cv2, difference, known),
    }


def _reach(sigma: SigmaMap) -> _Field:
    """Return how near to the network a match must be to count [px]."""
    reach: _Field = np.multiply(sigma, np.float32(AGREEMENT_SIGMAS), dtype=np.float32)
    np.maximum(reach, np.float32(AGREEMENT_PX), out=reach)
    return np.minimum(reach, np.float32(MOST_REACH_PX), out=reach)


def _around(cv2: ModuleType, difference: _Field, known: AnyArray) -> _Field:
    """Return the mean difference of the matches around every pixel [px]."""
    window = _WINDOW, _WINDOW
    grid = np.minimum(difference[::_STRIDE, ::_STRIDE], np.float32(MOST_DIFFERENCE_PX))
    share = cv2.blur(known[::_STRIDE, ::_STRIDE].astype(np.float32), window)
    mean = cv2.blur(grid, window) / np.maximum(share, np.float32(_LEAST_MATCHED))
    mean[share < _LEAST_MATCHED] = NO_MATCH_PX
    height, width = difference.shape
    found: _Field = cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR)
    return found


def log_cues(
    cv2: ModuleType,
    found: dict[str, _Field],
    weights: dict[str, float],
    names: Sequence[str] = ('score', 'around', 'difference'),
) -> dict[str, _Field]:
    """Return what the weights are multiplied with: (H, W) float32 each, finite.

    Args:
        cv2: OpenCV.
        found: Of `cues`.
        weights: `MATCH_WEIGHTS` or `NETWORK_WEIGHTS`.
        names: Those that are wanted; the ones without a weight are left out.
    """
    own = found['match_score' if weights is MATCH_WEIGHTS else 'network_score']
    factors: dict[str, Callable[[], _Field]] = {
        'score': lambda: np.fmax(own, np.float32(_LEAST_SCORE_PX)),
        'around': lambda: found['around'] + np.float32(_AROUND_FLOOR_PX),
        'difference': lambda: found['difference'] + np.float32(1.0),
    }
    return {name: cv2.log(factors[name]()) for name in names if name in weights}


def _power_law(cv2: ModuleType, found: dict[str, _Field], weights: dict[str, float]) -> _Field:
    """Return exp(constant) score^a (0.2 + around)^c [px], all but the difference of both."""
    exponent = np.full(found['use'].shape, weights['constant'], np.float32)
    for name, cue in log_cues(cv2, found, weights, ('score', 'around')).items():
        exponent += cue * np.float32(weights[name])
    score: _Field = cv2.exp(exponent, dst=exponent)
    return score


def _match_weight(of_match: _Field, of_network: _Field) -> _Field:
    """Return the weight of the match in the mean of both: by the inverse of their variances.

    The errors of the network are alike around a pixel, and its weight is less for that.
    """
    weight: _Field = of_match / of_network
    np.square(weight, out=weight)
    weight *= np.float32(NETWORK_SHARE)
    weight += np.float32(1.0)
    return np.reciprocal(weight, out=weight)


def _mean(matched: DisparityMap, network: DisparityMap, weight: _Field) -> DisparityMap:
    """Return the weighted mean; of one that is NaN, the other."""
    mean: DisparityMap = network + weight * (matched - network)
    mean = np.where(weight > 0.0, mean, network)
    alone = np.isnan(network) & ~np.isnan(matched)
    if alone.any():
        mean[alone] = matched[alone]
    return mean
