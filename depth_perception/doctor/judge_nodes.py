"""Judge depth nodes: lifecycle, status, model, engine, parameters and output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
import math
import re

from depth_perception.doctor.facts import Facts, NodeFacts, Subject
from depth_perception.doctor.findings import Finding, finding
from depth_perception.doctor.judge_cameras import projection, usable_camera
import numpy as np

_FAILED = re.compile(r'(configure|activate|deactivate|cleanup|shutdown) failed')
_MOST_DISPARITIES = 256  # that the builtin matcher takes by itself
_FAR_DISPARITY_PX = 0.5
# What a warning of the node speaks of, by its words; drops and waiting have other causes.
_SPOKEN = (
    ('of the pixels are known', 'depth.sparse'),
    ('find no partner', 'pair.losses'),
    ('by the references sigma', 'model.sigma'),
    ('ONNX Runtime runs the network', 'model.fallback'),
    ('frames dropped:', 'node.drops'),
    ('waiting for', 'node.waiting'),
    ('inputs arrive', 'node.waiting'),
)
_CURES = {
    'depth.sparse': 'look at both images: lens, light, texture, rectification; min_depth_m',
    'pair.losses': 'give the publisher more shared memory: docs/interface.md, QoS',
    'model.sigma': 'check the extrinsics of the reference; calibrate sigma on your own bags: '
    'depth_perception calibrate (docs/calibrate.md)',
    'model.fallback': 'depth_perception engines, depth_perception build-engine '
    '(docs/tensorrt.md); or set backend:=onnxruntime',
    'node.drops': 'docs/interface.md has every cause of a drop with its cure',
    'node.waiting': 'see the topics named; ros2 topic info -v TOPIC',
    'node.warns': 'see docs/interface.md',
}


def judge_duplicates(facts: Facts) -> list[Finding]:
    """Return which names are borne by more than one node."""
    depth_nodes = {one.node.name for one in facts.subjects if one.node is not None}
    return [
        finding(
            'node.duplicate',
            name if name in depth_nodes else '',
            name,
            f'{count} nodes have this name',
            'give each a name or a namespace of its own: --ros-args -r __node:=NAME -r __ns:=/NS; '
            'or end the one that was left over: ros2 node list, ps',
            severity='error' if name in depth_nodes else 'warning',
        )
        for name, count in sorted(Counter(facts.nodes).items())
        if count > 1
    ]


def judge_node(subject: Subject, found_so_far: Collection[Finding]) -> list[Finding]:
    """Return what is wrong with the depth node of a subject.

    Args:
        subject: Camera and node.
        found_so_far: Findings of its inputs: what they explain is not told again.
    """
    node = subject.node
    if node is None:
        return []
    if not node.answers and node.statuses == 0:
        return [
            finding(
                'node.mute',
                subject.name,
                node.name,
                'no answer to a service call, and no status',
                'does the process hang or sit in a debugger? End it and start it again; ros2 '
                'daemon stop, if the node has ended long ago',
            )
        ]
    if _FAILED.match(node.message):
        return [
            finding(
                'node.transition_failed',
                subject.name,
                node.name,
                f'{node.state or "unconfigured"}: {node.message}',
                (
                    'mend what the message says',
                    f'then: ros2 lifecycle set {node.name} configure && '
                    f'ros2 lifecycle set {node.name} activate',
                ),
            )
        ]
    if node.state and not node.is_active:
        return [_not_active(subject, node)]
    explained = any(one.severity == 'error' for one in found_so_far)
    found = [*_judge_status(subject, node, explained=explained), *_judge_parameters(subject)]
    silent = node.woken and node.heard == 0 and node.is_active
    if silent and not explained and not any(one.severity == 'error' for one in found):
        found.append(_no_output(subject, node))
    return found


def _not_active(subject: Subject, node: NodeFacts) -> Finding:
    steps = [f'ros2 lifecycle set {node.name} activate']
    if node.state == 'unconfigured':
        steps.insert(0, f'ros2 lifecycle set {node.name} configure')
    cures = [' && '.join(steps)]
    if not node.parameters.get('autostart', True):
        cures.append('autostart is false: a lifecycle manager must bring the node up')
    return finding(
        'node.not_active', subject.name, node.name, f'lifecycle state {node.state}', cures
    )


def _no_output(subject: Subject, node: NodeFacts) -> Finding:
    figures = ', '.join(
        f'{key} {node.values[key]}' for key in ('frames in', 'frames out') if key in node.values
    )
    return finding(
        'node.no_output',
        subject.name,
        node.name,
        f'active and subscribed to, but nothing came; {figures or "no figures"}; '
        f'status: {node.message or "none"}',
        (
            'look at the log of the node, and at the load of its computer: top',
            'a smaller model, fewer pixels, or a GPU (docs/gpu.md)',
        ),
    )


def _judge_status(subject: Subject, node: NodeFacts, *, explained: bool) -> Iterator[Finding]:
    wished = node.parameters.get('backend', 'auto')
    served = node.values.get('backend', wished)
    if wished == 'tensorrt' and served != wished:
        yield finding(
            'model.fallback',
            subject.name,
            node.name,
            f'backend is {served}, asked for {wished}: {node.values.get("backend reason", "")}',
            _CURES['model.fallback'],
        )
        return
    if node.level < 1:
        if not node.woken and node.message.startswith('idle'):
            yield finding(
                'node.idle', subject.name, node.name, node.message, 'run without --passive'
            )
        return
    if 'not metric' in node.message:
        yield finding(
            'model.not_metric',
            subject.name,
            node.name,
            node.message,
            'give it a source of scale: reference/points, camera height or ground.frame, a stored '
            'scale, or choose a metric model (docs/scale.md)',
        )
    elif node.message.startswith('the scale '):
        yield finding(
            'model.scale_jump',
            subject.name,
            node.name,
            node.message,
            'look at the references: TF and extrinsics, stamps, floor; docs/scale.md',
        )
    else:
        yield from _judge_warning(subject, node, explained=explained)


def _judge_warning(subject: Subject, node: NodeFacts, *, explained: bool) -> Iterator[Finding]:
    if explained or node.message.startswith('incompatible QoS'):
        return  # the inputs and subscribers were looked at themselves
    name = next((known for words, known in _SPOKEN if words in node.message), 'node.warns')
    works = node.heard > 0 and name in {'node.drops', 'node.waiting'}
    yield finding(
        name,
        subject.name,
        node.name,
        f'it says: {node.message}',
        _CURES[name],
        severity='warning' if works else None,
    )


def _judge_parameters(subject: Subject) -> Iterator[Finding]:
    yield from _judge_tolerance(subject)
    left, right = subject.stream('left image info'), subject.stream('right image info')
    if left is None or right is None or left.info is None or right.info is None:
        return
    camera = usable_camera(left.info)
    fx_left, tx_left, _ = projection(left.info)
    fx_right, tx_right, _ = projection(right.info)
    focal_baseline = camera.fx * (tx_left / fx_left - tx_right / fx_right) if camera else math.nan
    if not focal_baseline > 0.0:
        return
    searched = int(subject.parameter('sgbm.num_disparities', 0))
    least = int(subject.parameter('sgbm.min_disparity', 0)) if searched else 0
    nearest_m = float(subject.parameter('min_depth_m', 0.2))
    farthest_m = float(subject.parameter('max_depth_m', 20.0))
    right_camera = usable_camera(right.info)
    doffs_px = right_camera.cx - camera.cx if camera and right_camera else 0.0
    if searched and nearest_m * (least + searched + doffs_px) < 0.75 * focal_baseline:
        reached_m = focal_baseline / max(least + searched + doffs_px, 1.0)
        yield finding(
            'param.depth_range',
            subject.name,
            subject.name,
            f'{searched} disparities from {least} reach {reached_m:.2f} m, min_depth_m is '
            f'{nearest_m:g}',
            f'-p sgbm.num_disparities:=0 takes what min_depth_m needs (at most '
            f'{_MOST_DISPARITIES}), or raise min_depth_m to {reached_m:.2f}',
        )
    if focal_baseline / farthest_m < _FAR_DISPARITY_PX:
        yield finding(
            'param.depth_range',
            subject.name,
            subject.name,
            f'at max_depth_m = {farthest_m:g} the disparity is {focal_baseline / farthest_m:.2f} '
            'px: nothing can be told there',
            f'lower max_depth_m to {focal_baseline / 1.0:.1f} (1 px), or use more pixels or a '
            'wider baseline',
        )


def _judge_tolerance(subject: Subject) -> Iterator[Finding]:
    if not subject.parameter('approximate_sync', False):
        return
    tolerance_s = float(subject.parameter('approximate_sync_tolerance_seconds', 0.01))
    for stream in subject.streams:
        stamps_s = np.unique(np.asarray(stream.stamps_ns, np.int64)) / 1e9
        if stream.is_info or stamps_s.size < 3:
            continue
        period_s = float(np.median(np.diff(stamps_s)))
        if tolerance_s > 0.5 * period_s:
            yield finding(
                'param.sync_tolerance',
                subject.name,
                stream.topic,
                f'approximate_sync_tolerance_seconds is {tolerance_s:g}, images come every '
                f'{period_s:.3f} s: neighbours in time may be paired',
                f'-p approximate_sync_tolerance_seconds:={0.3 * period_s:.3f}',
            )
        return
