"""Collect the figures of the diagnostics from the parts of a running node."""

from __future__ import annotations

from typing import Any

from depth_perception.core.estimate import DepthEstimate
from depth_perception.core.summary import summarise
from depth_perception.inference.estimator_base import DepthEstimator
from depth_perception.ros.inputs import Inputs
from depth_perception.ros.ledger import Ledger
from depth_perception.ros.standard import installation_report
from depth_perception.ros.worker import Worker


def figures_of_ledger(ledger: Ledger) -> dict[str, Any]:
    """Return the frames by their fate."""
    drops = {f'dropped {cause}': count for cause, count in ledger.drops().items()}
    return {
        'frames in': ledger.frames_in,
        'frames out': ledger.frames_out,
        'frames dropped': sum(drops.values()),
        **drops,
    }


def figures_of_inputs(inputs: Inputs) -> dict[str, Any]:
    """Return what each input receives and how it is subscribed to."""
    figures: dict[str, Any] = {'sync failures': inputs.sync_failures}
    for topic in inputs.topics:
        figures[f'input {topic.name}'] = (
            f'{topic.topic}: {topic.received} received, {topic.publishers} publishers, '
            f'{topic.reliability}'
        )
    return figures


def figures_of_estimator(estimator: DepthEstimator[Any]) -> dict[str, Any]:
    """Return what computes the depth, and on what."""
    return {
        'model': estimator.card.id,
        'backend': estimator.backend.name,
        'backend reason': estimator.backend.description,
        'gpu kernels': estimator.kernels,
        'sigma calibration': estimator.sigma.model.name,
        'sigma temperature': estimator.sigma.state.temperature,
        **{f'package {name}': text for name, text in installation_report().items()},
    }


LEAST_KNOWN_PERCENT = 1.0


def sparse_estimate(worker: Worker, *, stereo: bool) -> str:
    """Return what to look at when hardly any pixel is known; '' if enough are."""
    if worker.newest is None:
        return ''
    known = summarise(worker.newest).known_percent
    if known >= LEAST_KNOWN_PERCENT:
        return ''
    causes = 'is a lens covered, the scene without texture or light, or nearer than min_depth_m?'
    if stereo:
        causes = f'are the left and the right image exchanged or not rectified, {causes}'
    return f'only {known:.1f} % of the pixels are known: {causes}'


def figures_of_scale(estimate: DepthEstimate) -> dict[str, Any]:
    """Return how the depth became metric: rung, s, t, covariance, references and failures."""
    scale, report = estimate.scale, estimate.report
    (ss, st), (_, tt) = scale.covariance
    figures: dict[str, Any] = {
        'scale rung': scale.rung.value,
        'scale sigma [%]': 100.0 * scale.sigma_relative,
        'scale s': scale.s,
        'scale t': scale.t,
        'scale covariance ss/st/tt': f'{ss:.4g} / {st:.4g} / {tt:.4g}',
        'scale references': scale.references,
        'scale references that agree': report.inliers,
        'scale references from': report.measured_by or 'nothing',
    }
    for rung, reason in report.failures:
        figures[f'scale not from {rung.value}'] = reason
    return figures


def figures_of_worker(worker: Worker) -> dict[str, Any]:
    """Return rate, latencies and quality of the last frames."""
    figures: dict[str, Any] = {
        'rate [Hz]': worker.rate.rate_hz(),
        'input age [s]': worker.input_age_s,
    }
    for stage, (p50, p95, p99) in worker.times.percentiles_ms().items():
        name = 'latency stamp to publish' if stage == 'total' else f'stage {stage}'
        figures[f'{name} p50/p95/p99 [ms]'] = f'{p50:.2f} / {p95:.2f} / {p99:.2f}'
        if stage == 'total':  # alone too: what plots takes numbers only
            figures |= {'latency p50 [ms]': p50, 'latency p95 [ms]': p95}
    estimate = worker.newest
    if estimate is None:
        return figures
    summary = summarise(estimate)
    return {
        **figures,
        **figures_of_scale(estimate),
        'valid pixels [%]': summary.valid_percent,
        'median sigma / depth [%]': 100.0 * summary.median_relative_sigma,
    }
