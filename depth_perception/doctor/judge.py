"""From facts to findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
import json
from typing import Any

from depth_perception.doctor.facts import Facts, Subject
from depth_perception.doctor.findings import Finding, finding, SEVERITIES
from depth_perception.doctor.judge_cameras import judge_cameras
from depth_perception.doctor.judge_frames import judge_frames
from depth_perception.doctor.judge_nodes import judge_duplicates, judge_node
from depth_perception.doctor.judge_pairs import judge_pairs
from depth_perception.doctor.judge_times import judge_times, Wishes
from depth_perception.doctor.judge_topics import judge_outputs, judge_topics

REPORT_SCHEMA = 'depth_perception.doctor/1'
BUSY_SHARE = 0.3
BUSY_HIDES = frozenset({'pair.losses', 'rate.low', 'rate.irregular', 'rate.losses'})
"""What a doctor who loses messages himself cannot tell from what is lost on the way."""
HEALTHY, FAULTS, NO_GRAPH, WARNINGS = 0, 1, 3, 4
"""Exit codes; 2 is that of every verb for something given that cannot be used."""


def judge(facts: Facts, wishes: Wishes | None = None) -> list[Finding]:
    """Return all findings, the gravest first."""
    wishes = Wishes() if wishes is None else wishes
    found = [*_judge_graph(facts), *judge_duplicates(facts)]
    for subject in facts.subjects:
        found += _judge_subject(facts, subject, wishes)
    if facts.busy > BUSY_SHARE and facts.subjects:
        found = [one for one in found if one.id not in BUSY_HIDES]
        found.append(
            finding(
                'machine.busy',
                '',
                '',
                f'in {100 * facts.busy:.0f} % of {facts.seconds:.0f} s the doctor could not keep '
                'up; rates and losses were not judged',
                'run the doctor on another computer, or one camera at a time: --left, --image',
            )
        )
    if facts.frames.lacking and facts.subjects:
        found.append(
            finding(
                'tf.unseen',
                '',
                '/tf',
                facts.frames.lacking,
                'sudo apt install ros-$ROS_DISTRO-tf2-msgs, then run the doctor again',
            )
        )
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def _judge_subject(facts: Facts, subject: Subject, wishes: Wishes) -> list[Finding]:
    found = [
        *judge_topics(subject),
        *judge_cameras(subject),
        *judge_pairs(subject),
        *judge_times(facts, subject, wishes),
        *judge_frames(facts, subject),
    ]
    found += judge_node(subject, found)
    return found + judge_outputs(subject)


def _judge_graph(facts: Facts) -> Iterator[Finding]:
    around = facts.surroundings
    seen = (
        f'domain {around.domain}, {around.middleware or "unknown middleware"}, discovery '
        f'{around.discovery_range or "as set by default"}, {facts.seconds:.0f} s'
    )
    if not facts.nodes and not facts.topics:
        yield finding(
            'graph.empty',
            '',
            '',
            f'no other node and no topic; {seen}',
            (
                'set the same ROS_DOMAIN_ID and RMW_IMPLEMENTATION in all terminals',
                'across computers: ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET (Humble: '
                'ROS_LOCALHOST_ONLY=0), multicast through the switch and the firewall',
                'in containers: --net=host --ipc=host, and the same user',
            ),
        )
        return
    for name in facts.missing_nodes:
        yield finding(
            'node.missing',
            name,
            name,
            f'there is none among {len(facts.nodes)} nodes: {", ".join(facts.nodes[:8])}',
            'ros2 node list; ros2 launch depth_perception stereo.launch.py (or mono)',
        )
    if not facts.subjects and not facts.missing_nodes:
        yield finding(
            'graph.no_camera',
            '',
            '',
            f'{len(facts.nodes)} nodes and {facts.topics} topics, but no depth node and no image '
            f'topic that looks like a camera; {seen}',
            'start the camera, or name its topics: --left TOPIC --right TOPIC, or --image TOPIC',
        )
    elif facts.subjects and all(subject.node is None for subject in facts.subjects):
        yield finding(
            'node.none',
            '',
            '',
            'no depth node runs; only the cameras were looked at',
            'ros2 launch depth_perception stereo.launch.py (or mono.launch.py)',
        )


def exit_code(found: Sequence[Finding]) -> int:
    """Return 0 healthy, 1 faults, 3 nothing on the graph, 4 warnings only."""
    gravities = {one.severity for one in found}
    if any(one.id == 'graph.empty' for one in found):
        return NO_GRAPH
    if 'error' in gravities:
        return FAULTS
    return WARNINGS if 'warning' in gravities else HEALTHY


def report(facts: Facts, found: Sequence[Finding]) -> dict[str, Any]:
    """Return the report as it is printed by --json; docs/doctor.md describes it."""
    counts = dict.fromkeys(SEVERITIES, 0)
    for one in found:
        counts[one.severity] += 1
    return {
        'schema': REPORT_SCHEMA,
        'exit_code': exit_code(found),
        'healthy': not (counts['error'] or counts['warning']),
        'counts': counts,
        'seconds': round(facts.seconds, 3),
        'looked_at': [
            {
                'name': subject.name,
                'node': subject.node.name if subject.node is not None else None,
                'topics': {stream.role: stream.topic for stream in subject.streams},
            }
            for subject in facts.subjects
        ],
        'findings': [json.loads(json.dumps(asdict(one))) for one in found],
        'surroundings': asdict(facts.surroundings),
    }
