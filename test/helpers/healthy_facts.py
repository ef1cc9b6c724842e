"""Facts of a healthy stereo pair and its node, to plant faults in."""

from dataclasses import replace

from depth_perception.doctor.facts import (
    Endpoint,
    Facts,
    Frames,
    Info,
    NodeFacts,
    Output,
    Picture,
    Placed,
    Sight,
    Stream,
    Subject,
    Surroundings,
)

NODE = '/stereo_depth_node'
IMAGE, INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
STAMPS = tuple(1_700_000_000_000_000_000 + 100_000_000 * i for i in range(30))
ARRIVALS = tuple(5.0 + 0.1 * i for i in range(30))
F, CX, CY = 500.0, 320.0, 240.0


def info(baseline_m=0.0, **changes):
    k = (F, 0.0, CX, 0.0, F, CY, 0.0, 0.0, 1.0)
    p = (F, 0.0, CX, -F * baseline_m, 0.0, F, CY, 0.0, 0.0, 0.0, 1.0, 0.0)
    eye = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    return replace(Info(640, 480, 'plumb_bob', (0.0,) * 5, k, eye, p), **changes)


def with_p(camera_info, **entries):
    p = list(camera_info.p)
    for index, value in entries.items():
        p[int(index[1:])] = value
    return replace(camera_info, p=tuple(p))


def stream(role):
    side = role.split(' ')[0]
    is_info = role.endswith('info')
    kind = INFO if is_info else IMAGE
    return Stream(
        role=role,
        topic=f'/cam/{side}/{"camera_info" if is_info else "image_rect"}',
        type=kind,
        publishers=(Endpoint('/driver', kind),),
        subscribers=(Endpoint(NODE, kind),),
        arrivals_s=ARRIVALS,
        stamps_ns=STAMPS,
        ages_s=(0.02,) * 30,
        bytes=400 if is_info else 307_300,
        frame_ids=('camera_optical',),
        calibrations=1 if is_info else 0,
        info=info(0.12 if side == 'right' else 0.0) if is_info else None,
        picture=None if is_info else Picture(640, 480, 'mono8', contrast=40.0, brightness=110.0),
    )


def node(**changes):
    output = Endpoint(NODE, IMAGE)
    healthy = NodeFacts(
        name=NODE,
        state='active',
        parameters={'max_input_age_s': 0.5, 'use_sim_time': False},
        statuses=4,
        level=0,
        message='10.0 Hz to depth/camera_info',
        values={'state': 'active', 'backend': 'builtin', 'frames in': '40', 'frames out': '40'},
        outputs=(Output('/depth/image_rect', output, (Endpoint('/rviz', IMAGE),)),),
        woken=True,
        heard=20,
        heard_ages_s=(0.05,) * 20,
    )
    return replace(healthy, **changes)


SIGHT = Sight(3, 900.0, 1200, 0.98, 0.05, 0.1, -0.1, 25.0, 0.01)


def subject(sight=SIGHT, of_node=None, roles=None):
    roles = roles or ('left image', 'right image', 'left image info', 'right image info')
    streams = tuple(stream(role) for role in roles)
    return Subject(NODE, streams, of_node or node(), sight)


def facts(**changes):
    healthy = Facts(
        seconds=6.0,
        nodes=('/driver', NODE, '/rviz'),
        topics=14,
        subjects=(subject(),),
        frames=Frames(
            received=3,
            known=('base_link', 'camera_optical'),
            placed={'camera_optical': Placed('base_link', base=True, down=0.0)},
        ),
        surroundings=Surroundings('jazzy', 'rmw_fastrtps_cpp', '7', '', False, 64, 212992),
    )
    return replace(healthy, **changes)


def of_subject(one, **changes):
    return facts(subjects=(one,), **changes)


def with_stream(role, **changes):
    """Return healthy facts with one stream changed."""
    one = subject()
    streams = tuple(replace(s, **changes) if s.role == role else s for s in one.streams)
    return of_subject(replace(one, streams=streams))


def with_node(**changes):
    return of_subject(subject(of_node=node(**changes)))


def with_parameters(**changes):
    parameters = {name.replace('__', '.'): value for name, value in changes.items()}
    return with_node(parameters={**node().parameters, **parameters})


def with_sight(**changes):
    return of_subject(subject(replace(SIGHT, **changes)))


def with_frames(**changes):
    return facts(frames=replace(facts().frames, **changes))
