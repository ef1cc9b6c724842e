"""What the doctor can find: every id with its gravity and what is wanted instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Severity = Literal['error', 'warning', 'note']
SEVERITIES: tuple[Severity, ...] = ('error', 'warning', 'note')
_ERROR, _WARNING, _NOTE = SEVERITIES

CATALOGUE = MappingProxyType(
    {
        # the graph and the nodes
        'graph.empty': (_ERROR, 'other nodes and topics on the graph'),
        'graph.no_camera': (_ERROR, 'image topics with publishers'),
        'machine.busy': (_NOTE, 'a machine with time to listen'),
        'node.missing': (_ERROR, 'the node that was asked for'),
        'node.none': (_NOTE, 'a depth node that uses the cameras'),
        'node.duplicate': (_ERROR, 'one node of each name'),
        'node.mute': (_ERROR, 'a node that answers service calls and reports its status'),
        'node.transition_failed': (_ERROR, 'a transition without an error'),
        'node.not_active': (_ERROR, 'lifecycle state active'),
        'node.waiting': (_ERROR, 'all inputs of the node arrive and pair up'),
        'node.drops': (_ERROR, 'frames that are served, not dropped'),
        'node.warns': (_WARNING, 'a status without warnings'),
        'node.no_output': (_ERROR, 'a depth image for the images that arrive'),
        'node.idle': (_NOTE, 'a subscriber, so that there is something to measure'),
        'output.qos': (_WARNING, 'subscribers whose QoS matches what the node offers'),
        'model.not_metric': (_ERROR, 'a source of scale for a relative network'),
        'model.fallback': (_WARNING, 'the network on the backend that was asked for'),
        'model.scale_jump': (_ERROR, 'a scale that stays'),
        'model.sigma': (_WARNING, 'errors as large as sigma says'),
        'depth.sparse': (_WARNING, 'at least 1 % of the pixels with a depth'),
        # topics
        'topic.missing': (_ERROR, 'one publisher of this topic'),
        'topic.type': (_ERROR, 'the message type that the node subscribes to'),
        'topic.qos': (_ERROR, 'a publisher that offers what the subscriber asks for'),
        'topic.two_publishers': (_WARNING, 'one publisher'),
        'topic.silent': (_ERROR, 'messages'),
        # images and camera_infos
        'image.encoding': (_ERROR, 'an encoding of camera images'),
        'image.broken': (_ERROR, 'whole images'),
        'image.too_large': (_ERROR, 'sides of at most max_image_side_px'),
        'image.blank': (_WARNING, 'an image with something on it'),
        'info.empty': (_ERROR, 'K and P of a calibrated camera'),
        'info.unusable': (_ERROR, 'a finite, positive calibration'),
        'info.size': (_ERROR, 'the camera_info of this resolution'),
        'info.raw': (_ERROR, 'a rectified image, or one whose topic does not say that it is'),
        'info.rectified_here': (_NOTE, 'nothing; the node rectifies this image itself'),
        'info.focal': (_WARNING, 'a field of view between 5 and 150 degrees'),
        'info.changes': (_WARNING, 'one calibration'),
        # pairs
        'pair.size': (_ERROR, 'one size for left and right'),
        'pair.calibration': (
            _ERROR,
            'the same fx, fy and cy on both sides, as after rectification',
        ),
        'pair.no_baseline': (_ERROR, 'P[3] = -fx * baseline in the right camera_info'),
        'pair.swapped_info': (_ERROR, 'a negative P[3] in the right camera_info'),
        'pair.baseline': (_WARNING, 'a baseline between 5 mm and 5 m'),
        'pair.swapped': (_ERROR, 'things further left in the right image than in the left one'),
        'pair.vertical': (_ERROR, 'the same thing in the same row of both images, to 0.75 px'),
        'pair.unmatched': (_WARNING, 'two views of one scene'),
        'pair.identical': (_ERROR, 'two different images'),
        'pair.unseen': (_NOTE, 'two images that can be compared'),
        'pair.stamps': (_ERROR, 'equal stamps on both images'),
        'pair.losses': (_WARNING, 'a partner for every image'),
        # time
        'stamp.zero': (_ERROR, 'the time of capture'),
        'stamp.old': (_ERROR, 'images younger than max_input_age_s'),
        'stamp.future': (_WARNING, 'stamps that are not ahead of the clock'),
        'stamp.backwards': (_WARNING, 'stamps that grow'),
        'stamp.info': (_ERROR, 'a camera_info with the stamp of each image'),
        'clock.none': (_ERROR, 'a publisher of /clock'),
        'clock.unused': (_ERROR, 'use_sim_time: true, since the images have simulated stamps'),
        'clock.mixed': (_ERROR, 'images and node on one clock'),
        'rate.low': (_WARNING, 'at least the rate that was asked for'),
        'rate.irregular': (_WARNING, 'evenly spaced images'),
        'rate.losses': (_WARNING, 'every image that the camera takes'),
        'rate.link': (_WARNING, 'no more than the link carries'),
        # frames
        'frame.empty': (_ERROR, 'the optical frame of the camera in frame_id'),
        'frame.not_optical': (_WARNING, 'an optical frame: z forward, x right, y down (REP 103)'),
        'frame.info': (_WARNING, 'the same frame_id on image and camera_info'),
        'frame.pair': (_NOTE, 'nothing of this node; some C++ nodes want one frame_id for a pair'),
        'frame.changes': (_WARNING, 'one frame_id'),
        'tf.unseen': (_NOTE, 'TF, to see whether the cameras are connected to the robot'),
        'tf.missing': (_WARNING, 'a transform from the base to the camera'),
        'tf.unconnected': (_WARNING, 'one tree that holds the camera and the base'),
        # parameters
        'param.rectified': (_WARNING, 'input_rectified: auto or no for raw images'),
        'param.sync_tolerance': (
            _WARNING,
            'a tolerance below half of the time between two images',
        ),
        'param.depth_range': (_WARNING, 'a range of depths that this pair can see'),
    }
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        id: Key of the CATALOGUE.
        severity: 'error': does not work; 'warning': works badly; 'note': worth knowing.
        subject: Name of the camera, pair or node it belongs to; '' for the whole graph.
        where: The topic, node or frame.
        seen: What was seen, with numbers.
        wanted: What should be there instead.
        cures: What to do, most promising first.
    """

    id: str
    severity: Severity
    subject: str
    where: str
    seen: str
    wanted: str
    cures: tuple[str, ...]


def finding(
    name: str,
    subject: str,
    where: str,
    seen: str,
    cures: str | Sequence[str],
    *,
    severity: Severity | None = None,
) -> Finding:
    """Return a finding of the catalogue; `severity` only where it depends on a number."""
    usual, wanted = CATALOGUE[name]
    listed = (cures,) if isinstance(cures, str) else tuple(cures)
    return Finding(name, severity or usual, subject, where, seen, wanted, listed)
