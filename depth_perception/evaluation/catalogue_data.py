"""The rows of the catalogue of figures; catalogue.py is how to look them up."""

from __future__ import annotations

from depth_perception.evaluation.metric import Metric

_SPARSIFICATION = (
    'kept pixels from 100 % to 0 % in 50 steps by growing sigma, 0 at the end (Poggi 2020)'
)


def _lower(name: str, title: str, unit: str, group: str, definition: str) -> Metric:
    return Metric(name, title, unit, group, 'lower', definition)


def _higher(name: str, title: str, unit: str, group: str, definition: str) -> Metric:
    return Metric(name, title, unit, group, 'higher', definition)


def _target(name: str, title: str, group: str, target: float, definition: str) -> Metric:
    return Metric(name, title, '', group, 'target', definition, target)


def _of_run(name: str, title: str, group: str, definition: str) -> Metric:
    return Metric(name, title, '', group, 'lower', definition, kind='run')


_DEPTH = (
    _lower('abs_rel', 'AbsRel', '', 'depth', 'mean |y - g| / g (Eigen 2014).'),
    _lower('sq_rel_m', 'SqRel', 'm', 'depth', 'mean (y - g)^2 / g (Eigen 2014).'),
    _lower('rmse_m', 'RMSE', 'm', 'depth', 'root of mean (y - g)^2 (Eigen 2014).'),
    _lower('mae_m', 'MAE', 'm', 'depth', 'mean |y - g|.'),
    _lower('rmse_log', 'RMSE log', '', 'depth', 'root of mean (ln y - ln g)^2 (Eigen 2014).'),
    _lower('log10', 'log10', '', 'depth', 'mean |log10 y - log10 g| (NYU).'),
    _lower(
        'silog',
        'SILog',
        '',
        'depth',
        '100 times the root of mean d^2 - (mean d)^2 with d = ln y - ln g (KITTI).',
    ),
    _lower(
        'irmse_1_per_km',
        'iRMSE',
        '1/km',
        'depth',
        'root of mean (1/y - 1/g)^2, times 1000 (KITTI).',
    ),
    _higher('delta1', 'delta1', '', 'depth', 'share with max(y/g, g/y) < 1.25 (Eigen 2014).'),
    _higher('delta2', 'delta2', '', 'depth', 'share with max(y/g, g/y) < 1.25^2 (Eigen 2014).'),
    _higher('delta3', 'delta3', '', 'depth', 'share with max(y/g, g/y) < 1.25^3 (Eigen 2014).'),
    _higher('delta1_03', 'delta 1.03', '', 'depth', 'share with max(y/g, g/y) < 1.03.'),
    _lower('median_rel', 'Median relative error', '', 'depth', 'median |y - g| / g.'),
    _higher(
        'coverage',
        'Coverage',
        '',
        'depth',
        'share of the pixels with truth that have a finite depth; read it beside every other '
        'figure.',
    ),
    _higher(
        'valid_share', 'Valid pixels', '', 'depth', 'share of all pixels that have a finite depth.'
    ),
)

_RANGE = (
    _lower(
        'obstacle_range_error_m',
        'Obstacle range error',
        'm',
        'range',
        '|range of the nearest obstacle - that of the truth|: the 2 % quantile of Z of the points '
        'less than 0.3 m beside and above the optical axis.',
    ),
)


def _bad(tau: str) -> Metric:
    name = f'bad_{tau.replace(".", "_")}_pct'
    definition = f'100 times the share of the predicted pixels with |d - d*| > {tau} px'
    return _lower(name, f'bad-{tau}', '%', 'disparity', f'{definition} (Middlebury).')


def _d1(name: str, title: str, sums: str, definition: str) -> Metric:
    return Metric(
        name, title, '%', 'disparity', 'lower', definition, kind='pooled', sums=sums, factor=100.0
    )


_STEREO = (
    _lower('epe_px', 'EPE', 'px', 'disparity', 'mean |d - d*|.'),
    _bad('0.5'),
    _bad('1'),
    _bad('2'),
    _bad('4'),
    _d1(
        'd1_pct',
        'D1',
        'd1',
        'share of the predicted pixels with |d - d*| > 3 px and > 5 % of d*, pooled over all '
        'frames (KITTI 2015, "Est").',
    ),
    _d1(
        'd1_all_pct',
        'D1 all',
        'd1_all',
        'as D1 over all pixels with truth, missing ones interpolated from the background as the '
        'KITTI devkit does.',
    ),
    _higher(
        'density_pct',
        'Density',
        '%',
        'disparity',
        '100 times the share of the pixels with truth that have a disparity.',
    ),
)
_PARTS = {'noc': 'that the right image shows too', 'occ': 'that the right image does not show'}


def _part(metric: Metric, suffix: str) -> Metric:
    """Return a figure of the disparity, restricted to the pixels of one kind."""
    return Metric(
        f'{metric.name}_{suffix}',
        f'{metric.title} {suffix}',
        metric.unit,
        metric.group,
        metric.better,
        f'`{metric.name}` of the pixels {_PARTS[suffix]}.',
        kind=metric.kind,
        sums=metric.sums and f'{metric.sums}_{suffix}',
        factor=metric.factor,
    )


_DISPARITY = (
    *_STEREO,
    *(_part(metric, suffix) for suffix in _PARTS for metric in _STEREO),
)


def _ause(of: str, title: str, unit: str) -> tuple[Metric, Metric]:
    return (
        _lower(
            f'ause_{of}',
            f'AUSE {title}',
            unit,
            'sigma',
            f'area between the sparsification curve of {title} and that of the oracle, '
            f'{_SPARSIFICATION}; 0 if sigma sorts as the error does.',
        ),
        _higher(
            f'aurg_{of}',
            f'AURG {title}',
            unit,
            'sigma',
            f'area between {title} of all pixels and its sparsification curve, {_SPARSIFICATION}; '
            'a sigma without information gives 1 % of it.',
        ),
    )


def _within(k: int, share: float) -> Metric:
    text = f'share with |e| <= {k} sigma; a Gaussian error has {share}.'
    return _target(f'within_{k}_sigma', f'Within {k} sigma', 'sigma', share, text)


_SIGMA = (
    _within(1, 0.6827),
    _within(2, 0.9545),
    _within(3, 0.9973),
    _target('spread', 'Spread', 'sigma', 1.0, '1.4826 times the median of |e| / sigma.'),
    *_ause('abs_rel', 'AbsRel', ''),
    *_ause('rmse_m', 'RMSE', 'm'),
    *_ause('delta1', '1 - delta1', ''),
    _lower(
        'nll_gauss_m',
        'NLL Gauss',
        'nat',
        'sigma',
        'mean ln(2 pi sigma^2) / 2 + e^2 / (2 sigma^2), in metres.',
    ),
    _lower(
        'nll_laplace_m',
        'NLL Laplace',
        'nat',
        'sigma',
        'mean ln(2 b) + |e| / b with b = sigma / sqrt(2), in metres.',
    ),
    _lower(
        'nll_gauss_log',
        'NLL Gauss, log',
        'nat',
        'sigma',
        'as NLL Gauss of ln y - ln g with sigma / y.',
    ),
    _lower(
        'nll_laplace_log',
        'NLL Laplace, log',
        'nat',
        'sigma',
        'as NLL Laplace of ln y - ln g with sigma / y.',
    ),
    _lower(
        'kuleshov',
        'Calibration error',
        '',
        'sigma',
        'sum over p = 0.05 ... 0.95 of (p - share with |e| <= z_p sigma)^2 (Kuleshov 2018).',
    ),
    _lower(
        'ece',
        'ECE',
        '',
        'sigma',
        'mean over p = 0.05 ... 0.95 of |p - share with |e| <= z_p sigma|.',
    ),
    _lower(
        'ence',
        'ENCE',
        '',
        'sigma',
        'mean over 20 equal bins of sigma of |RMSE - RMV| / RMV with RMV the root of mean '
        'sigma^2 (Levi 2022).',
    ),
    _lower(
        'sharpness', 'Sharpness', '', 'sigma', 'mean sigma / y; compare it at equal calibration.'
    ),
    _lower('median_relative_sigma', 'Median relative sigma', '', 'sigma', 'median sigma / y.'),
    _lower(
        'crps_m',
        'CRPS',
        'm',
        'sigma',
        'mean sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = e / sigma.',
    ),
    _higher('spearman', 'Rank correlation', '', 'sigma', 'Spearman correlation of |e| and sigma.'),
    _higher(
        'sigma_coverage',
        'Sigma coverage',
        '',
        'sigma',
        'share of the pixels with truth and depth that have a finite sigma > 0.',
    ),
)

_STRUCTURE = (
    _higher(
        'boundary_f1',
        'Boundary F1',
        '',
        'structure',
        'F1 of the depth edges over 10 thresholds of the ratio of neighbours, 1.05 to 1.25, '
        'weighted by the threshold (Depth Pro); wants dense truth.',
    ),
    _higher(
        'ssim',
        'SSIM',
        '',
        'structure',
        'structural similarity of the inverse depth, window of 7 px, range p98 - p2 of the truth, '
        'over windows that are wholly known (Wang 2004).',
    ),
)

_TIME = (
    _lower(
        'tae_pct',
        'TAE',
        '%',
        'time',
        '100 times the mean AbsRel, both ways, of neighbouring depths warped into each other by '
        'the known motion (Video Depth Anything, with a z-buffer).',
    ),
    _lower(
        'opw_m',
        'OPW',
        'm',
        'time',
        'mean |Z_t - warp(Z_t+1)| by optical flow, weighted by exp(-50 |I_t - warp(I_t+1)|^2).',
    ),
    _of_run(
        'flicker',
        'Flicker',
        'time',
        'median over the pixels of the standard deviation over time of ln Z, while the camera '
        'stands still.',
    ),
    _target(
        'scale',
        'Scale',
        'time',
        1.0,
        'factor s by which the depth has to be multiplied to have the median of the truth.',
    ),
    _of_run('scale_jitter', 'Scale jitter', 'time', 'standard deviation over the frames of ln s.'),
)


def _f_score(cm: int) -> Metric:
    return _higher(
        f'f_score_{cm}cm',
        f'F-score {cm} cm',
        '',
        'cloud',
        'harmonic mean of the shares of points of either cloud with a neighbour in the other '
        f'one nearer than {cm} cm.',
    )


_CLOUD = (
    _lower(
        'chamfer_m',
        'Chamfer',
        'm',
        'cloud',
        'half the sum of the mean distances to the nearest point, from either cloud to the other.',
    ),
    _f_score(5),
    _f_score(10),
    _f_score(25),
    _lower(
        'rel_point', 'Point error', '', 'cloud', 'mean |p - p*| / |p*| of the 3-D points (MoGe).'
    ),
    _lower(
        'plane_rms_m',
        'Plane RMS',
        'm',
        'cloud',
        'root of the mean squared distance of the points to their plane, where the truth lies on '
        'its largest plane.',
    ),
    _lower(
        'wall_angle_deg',
        'Wall angle error',
        'deg',
        'cloud',
        'angle between the largest plane of the truth and that of the depth there, 0 to 90 deg.',
    ),
)

_MS = 'median over the frames, beside p95, p99 and maximum.'


def _speed(name: str, title: str, what: str) -> Metric:
    return Metric(name, title, 'ms', 'speed', 'lower', f'{what}; {_MS}', kind='percentile')


_SPEED = (
    _speed('latency_ms', 'Latency', 'time from the messages, decoding included, to the estimate'),
    _speed('network_ms', 'Network', 'time of the network, or of the matcher, alone'),
    _speed('metrics_ms', 'Metrics', 'time that measuring the frame took; no part of the latency'),
    _of_run('drop_rate', 'Dropped', 'speed', 'share of the input frames that gave no depth.'),
    _of_run(
        'live_drop_rate',
        'Dropped live',
        'speed',
        'share of the frames that a node of this speed would have left out: the newest waits, '
        'simulated from stamps and latencies.',
    ),
)

METRIC_ROWS: tuple[Metric, ...] = (
    *_DEPTH,
    *_RANGE,
    *_DISPARITY,
    *_SIGMA,
    *_STRUCTURE,
    *_TIME,
    *_CLOUD,
    *_SPEED,
)
