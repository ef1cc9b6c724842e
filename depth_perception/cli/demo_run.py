"""Play a recording to the real nodes, and record what they publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
import time

from depth_perception.cli.processes import middleware_environment, Program
from depth_perception.errors import DepthPerceptionError
from depth_perception.evaluation.playback import Streams
from depth_perception.evaluation.scenes import GroundPose

DISCOVERY_S = 25.0  # for nodes to load and all ends to find each other, on a busy machine
LAST_FRAMES_S = 1.5
_POLL_S = 0.1
RECORDING = 'listening to every topic asked for'  # what the recorder says when it is ready
OUTPUTS = ('depth/image_rect', 'depth/camera_info', 'uncertainty/image')
# A busy machine may be slow at first; the page shows the latencies, so nothing is hidden.
COMMON_PARAMETERS = {'max_input_age_s': 3.0}


@dataclass(frozen=True)
class Plan:
    """What is played, and to which nodes.

    Attributes:
        bag: Recording to play.
        streams: Its topics.
        ground: Pose of the camera for the mono node; None: no mono node.
        seconds: How much of it is played [s].
        scratch: Folder for recordings and logs.
        model: Of the stereo node; '' for its default.
    """

    bag: Path
    streams: Streams
    ground: GroundPose | None
    seconds: float
    scratch: Path
    model: str = ''

    @property
    def nodes(self) -> list[str]:
        """The nodes that are started."""
        stereo = ['stereo'] if self.streams.right else []
        return stereo + (['mono'] if self.ground is not None else [])

    @property
    def recorded(self) -> Path:
        """Recording of what the nodes publish."""
        return self.scratch / 'published'

    @property
    def clouds(self) -> Path:
        """Recording of one cloud of each node."""
        return self.scratch / 'clouds'


def _topics(plan: Plan, name: str) -> dict[str, str]:
    """Return the inputs of a node, and the topics of the recording that they are."""
    streams = plan.streams
    if name == 'mono':
        return {'image': streams.left, 'camera_info': streams.left_info}
    return {
        'left/image_rect': streams.left,
        'left/camera_info': streams.left_info,
        'right/image_rect': streams.right,
        'right/camera_info': streams.right_info,
    }


def node_arguments(plan: Plan, name: str) -> list[str]:
    """Return the arguments of a node: parameters, and where its inputs come from."""
    parameters: dict[str, object] = {**COMMON_PARAMETERS}
    if name == 'mono':
        assert plan.ground is not None
        parameters |= {
            'ground.camera_height_m': plan.ground.height_m,
            'ground.pitch_deg': plan.ground.pitch_deg,
            'ground.roll_deg': plan.ground.roll_deg,
        }
    elif plan.model:
        parameters['model'] = plan.model
    words = ['--ros-args', '-r', f'__ns:=/{name}']
    for topic, source in _topics(plan, name).items():
        words += ['-r', f'{topic}:={source}']
    for parameter, value in parameters.items():
        words += ['-p', f'{parameter}:={value}']
    return words


def play(plan: Plan, tell: Callable[[str], None]) -> dict[str, str]:
    """Play the recording to the nodes, and return the facts of the run.

    Args:
        plan: What to play.
        tell: Called with a line of progress.

    Raises:
        DepthPerceptionError: If a program fails, with the last lines that it printed.
    """
    environment = middleware_environment()
    module = 'depth_perception.ros'

    def start(name: str, arguments: list[str], log: str) -> Program:
        program = Program(f'{module}.{name}', arguments, environment, plan.scratch / f'{log}.log')
        return stack.enter_context(program)

    with ExitStack() as stack:
        nodes = [
            start(f'{name}_depth_node', node_arguments(plan, name), f'{name}_node')
            for name in plan.nodes
        ]
        topics = [f'/{name}/{topic}' for name in plan.nodes for topic in OUTPUTS]
        recorder = start(
            'bag_recorder',
            [*topics, '/diagnostics', '--output', str(plan.recorded)],
            'recorder',
        )
        clouds = start(
            'bag_recorder',
            [
                *(f'/{name}/points' for name in plan.nodes),
                *('--max-messages', '1', '--output', str(plan.clouds)),
                *('--ros-args', '-r', '__node:=cloud_recorder'),
            ],
            'cloud_recorder',
        )
        _await_subscriptions(recorder, [*nodes, recorder])
        player = start('bag_player', player_arguments(plan), 'player')
        tell(f'{" and ".join(plan.nodes)} node, recorder and player are running')
        _watch(player, [*nodes, recorder], plan, tell)
        time.sleep(LAST_FRAMES_S)
        for program in (recorder, clouds):
            program.end()
            program.check()
    return _facts(environment)


def _await_subscriptions(recorder: Program, programs: list[Program]) -> None:
    """Wait until the recorder listens to all that the nodes publish; go on without, if need be.

    Raises:
        DepthPerceptionError: If one of the programs fails.
    """
    end = time.monotonic() + DISCOVERY_S
    while RECORDING not in recorder.log() and time.monotonic() < end:
        for program in programs:
            program.check()
        time.sleep(_POLL_S)


def player_arguments(plan: Plan) -> list[str]:
    """Return the arguments of the player, who waits for every node on every topic."""
    listening = Counter(source for name in plan.nodes for source in _topics(plan, name).values())
    return [
        str(plan.bag),
        *('--stamp', 'now'),
        *('--wait-for-subscribers', str(DISCOVERY_S)),
        *('--subscribers', *(f'{topic}={count}' for topic, count in listening.items())),
        *('--duration', str(plan.seconds)),
        *('--topics', *plan.streams.inputs),
    ]


def _watch(
    player: Program, others: list[Program], plan: Plan, tell: Callable[[str], None]
) -> None:
    """Wait until the player has ended, telling how long it still takes.

    Raises:
        DepthPerceptionError: If one of the programs fails, or the player does not end.
    """
    started = time.monotonic()
    limit_s = plan.seconds + DISCOVERY_S + 30.0
    while not player.wait(1.0):
        for program in others:
            program.check()
        passed_s = time.monotonic() - started
        if passed_s > limit_s:
            raise DepthPerceptionError(f'the player did not end within {limit_s:.0f} s')
        tell(f'playing, {passed_s:.0f} s')
    player.check()


def _facts(environment: Mapping[str, str]) -> dict[str, str]:
    profile = any(name.endswith('PROFILES_FILE') for name in environment)
    return {
        'middleware': f'{environment["RMW_IMPLEMENTATION"]}, domain '
        f'{environment["ROS_DOMAIN_ID"]}, '
        + ('shared memory with room for images' if profile else 'its own settings'),
    }
