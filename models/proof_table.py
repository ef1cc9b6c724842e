"""The facts of every network that has a card, one row each; see proof_networks.py."""

from __future__ import annotations

from dataclasses import replace

from proof_networks import (
    area_within,
    as_it_is,
    at_least,
    at_most,
    boxed,
    Flag,
    least_change,
    mono,
    Net,
    padded,
    stereo,
    stretched,
)

_MEAN = (123.675, 116.28, 103.53)  # of ImageNet, 0..255
_SKY = Flag(good=0.29, bad=0.31, far=True)
_SEEN = Flag(good=0.51, bad=0.49)


# Depth Anything V1, V2 and 3
_DA2 = mono(at_least(518, 14), says='affine_inverse', shapes={'depth': '1HW'}, static=False)
_DEPTH_ANYTHING: dict[str, Net] = {}
for size in ('small', 'base', 'large'):
    _DEPTH_ANYTHING[f'depth-anything-v1-{size}'] = replace(_DA2, shapes={'depth': '11HW'})
    _DEPTH_ANYTHING[f'depth-anything-v2-{size}'] = _DA2
    for where, limit in (('indoor', 20.0), ('outdoor', 80.0)):
        _DEPTH_ANYTHING[f'depth-anything-v2-{where}-{size}'] = replace(
            _DA2, says='depth', limit=limit
        )
_DA3 = mono(
    stretched(280, 504),
    says='canonical_depth',
    canonical_focal=300.0,
    shapes={'depth': '11HW', 'sky': '11HW'},
    flags={'sky': _SKY},
)
_DEPTH_ANYTHING['depth-anything-v3-metric-large'] = _DA3
_DEPTH_ANYTHING['depth-anything-v3-mono-large'] = replace(_DA3, says='scaled_depth')

# Metric3D, MoGe, UniDepth and Depth Pro, which know the focal length
_METRIC3D_2 = mono(
    boxed(616, 1064),
    norm='raw',
    padding=_MEAN,
    output='pred_depth',
    says='canonical_depth',
    focal_of='scale',
    shapes={'pred_depth': '11HW'},
)
_METRIC3D_1 = replace(_METRIC3D_2, rule=boxed(544, 1216))
_METRIC3D_HF = replace(
    _METRIC3D_2,
    inputs={'pixel_values': 'left'},
    output='predicted_depth',
    shapes={
        'predicted_depth': '1HW',
        'predicted_normal': '13HW',
        'normal_confidence': '1HW',
    },
    static=False,
)
_MOGE_2 = mono(
    as_it_is,
    norm='unit',
    inputs={'image': 'left', 'num_tokens': 'tokens'},
    tokens=1800,
    output='points',
    says='points_less_shift',
    shapes={'points': '1HW3', 'normal': '1HW3', 'mask': '1HW', 'scale': '1'},
    flags={'mask': _SEEN},
    constants={'scale': 1.7},
    static=False,
)
_UNIDEPTH = mono(
    boxed(462, 630),
    inputs={'rgbs': 'left', 'rays': 'rays'},
    padding=_MEAN,
    output='pts_3d',
    says='points_by_rays',
    shapes={'pts_3d': '13HW', 'confidence': '11HW', 'intrinsics': '133'},
    constants={'confidence': 0.04},
)
_BY_FOCAL_LENGTH: dict[str, Net] = {
    f'metric3d-v2-{size}': _METRIC3D_2 for size in ('small', 'large', 'giant')
}
_BY_FOCAL_LENGTH |= {
    f'metric3d-v2-{size}-hf': _METRIC3D_HF for size in ('small', 'large', 'giant2')
}
_BY_FOCAL_LENGTH |= {f'metric3d-v1-convnext-{size}': _METRIC3D_1 for size in ('tiny', 'large')}
_BY_FOCAL_LENGTH |= {f'moge2-{size}': _MOGE_2 for size in ('small', 'base', 'large')}
_BY_FOCAL_LENGTH |= {f'unidepth-v2-{size}': _UNIDEPTH for size in ('small', 'base', 'large')}
_BY_FOCAL_LENGTH['moge1-large'] = replace(
    _MOGE_2,
    rule=area_within(250_000, 500_000, 14),
    inputs={'image': 'left'},
    shapes={'points': '1HW3', 'mask': '1HW'},
    up_to_scale=True,
)
_BY_FOCAL_LENGTH['depth-pro'] = mono(
    stretched(1536, 1536),
    norm='half',
    output='canonical_inverse_depth',
    says='inverse_by_view',
    shapes={'canonical_inverse_depth': '11HW', 'fov_deg': '1'},
)

# Other networks on one image
_MIDAS = mono(
    stretched(256, 256),
    inputs={'0': 'left'},
    norm='unit',
    output='797',
    says='affine_inverse',
    shapes={'797': '1HW'},
)
_DPT = mono(
    least_change(384, 32),
    norm='half',
    says='affine_inverse',
    shapes={'depth': '1HW'},
    static=False,
)
_ZOE = mono(stretched(384, 512), norm='unit', says='depth')
_ADABINS = mono(
    stretched(480, 640), says='depth', stride=2, shapes={'bin_edges': '1N', 'depth': '11HW'}
)
_LERES = mono(stretched(448, 448), says='affine_depth')
_MONODEPTH2 = mono(
    stretched(192, 640), norm='unit', output='disp', says='sigmoid', shapes={'disp': '11HW'}
)
_WIDE = replace(_MONODEPTH2, rule=stretched(320, 1024))
_OTHER_MONO: dict[str, Net] = {
    'midas-v21-small': _MIDAS,
    'midas-v21-large': replace(
        _MIDAS, rule=stretched(384, 384), output='1080', shapes={'1080': '1HW'}
    ),
    'dpt-large': _DPT,
    'dpt-hybrid': _DPT,
    'dpt-beit-large-512': replace(_DPT, rule=least_change(512, 32)),
    'dpt-swin2-tiny-256': replace(_DPT, rule=stretched(256, 256), static=True),
    'zoedepth-indoor': _ZOE,
    'zoedepth-nk': _ZOE,
    'zoedepth-outdoor': replace(_ZOE, rule=stretched(384, 768)),
    'adabins-nyu': _ADABINS,
    'adabins-kitti': replace(_ADABINS, rule=stretched(352, 1216)),
    'leres-resnet50': _LERES,
    'leres-resnext101': _LERES,
    'marigold-e2e-depth': replace(_LERES, rule=stretched(576, 768), norm='half'),
    'monodepth2-640x192': _MONODEPTH2,
    'monodepth2-1024x320': _WIDE,
    'lite-mono': replace(_MONODEPTH2, up_to_scale=True),
    'lite-mono-8m': replace(_WIDE, up_to_scale=True),
    'monodepth-resnet50': mono(
        stretched(256, 512),
        layout='NHWC',
        norm='unit',
        output='disparity',
        says='width_share',
        shapes={'disparity': '1HW1'},
    ),
    'fastdepth': mono(stretched(256, 320), norm='unit', says='depth', static=False),
}

# Networks on a pair
_RAFT = stereo(
    padded(32),
    'left',
    'right',
    'flow_up',
    norm='raw',
    padding='replicate',
    says='negative_flow',
)
_IGEV = stereo(padded(32), 'left', 'right', 'disp', norm='raw', padding='replicate')
_HITNET = stereo(
    stretched(480, 640),
    'left',
    'right',
    'reference_output_disparity',
    inputs={'input': 'pair'},
    norm='unit',
    order='grey',
    shapes={'reference_output_disparity': '1HW1'},
)
_LIGHT = stereo(
    padded(32, 'bottom_left'), 'left_img', 'right_img', 'disp_pred', padding='replicate'
)
_FOUNDATION = stereo(stretched(448, 672), 'left', 'right', 'disp', norm='raw')
_DEPLOYED = stereo(stretched(576, 960), 'left_image', 'right_image', 'disparity')
_S2M2 = stereo(
    padded(32),
    'input_left',
    'input_right',
    'output_disp',
    norm='raw',
    padding='replicate',
    shapes={'output_disp': '11HW', 'output_occ': '11HW', 'output_conf': '11HW'},
    flags={'output_occ': _SEEN, 'output_conf': Flag(good=0.9, bad=0.09, block=6)},
)
_ESS = stereo(
    stretched(576, 960),
    'input_left',
    'input_right',
    'output_left',
    norm='half',
    shapes={'output_left': '11HW', 'output_conf': '11HW'},
    flags={'output_conf': Flag(good=0.41, bad=0.39)},
)
_MATCHERS: dict[str, Net] = {f'lightstereo-{size}': _LIGHT for size in 'smlh'}
_MATCHERS |= {f's2m2-{size}': _S2M2 for size in ('s', 'm', 'l', 'xl')}
_MATCHERS |= {
    'raft-stereo': _RAFT,
    'raft-stereo-realtime': _RAFT,
    'rt-igev': _IGEV,
    'igev-plusplus': _IGEV,
    'igev-stereo': _IGEV,
    'crestereo': stereo(
        stretched(480, 640),
        'next_left',
        'next_right',
        'next_output',
        inputs={
            'init_left': 'left/2',
            'init_right': 'right/2',
            'next_left': 'left',
            'next_right': 'right',
        },
        norm='raw',
        order='bgr',
        says='flow',
        shapes={'next_output': '12HW'},
    ),
    'hitnet-eth3d': _HITNET,
    'hitnet-middlebury': replace(_HITNET, order='rgb'),
    'hitnet-flyingthings': replace(
        _HITNET,
        order='rgb',
        shapes={
            'reference_output_disparity': '1HW1',
            'secondary_output_disparity': '1HW1',
        },
    ),
    'foundation-stereo': _FOUNDATION,
    'foundation-stereo-vits': _FOUNDATION,
    'c-foundation-stereo-small-576x960': _DEPLOYED,
    'c-foundation-stereo-small-320x736': replace(_DEPLOYED, rule=stretched(320, 736)),
    'fast-foundation-stereo': replace(_DEPLOYED, rule=stretched(480, 640)),
    'ess': _ESS,
    'light-ess': replace(_ESS, rule=stretched(288, 480)),
    'mc-cnn-fast': stereo(
        at_most(640, 1),
        'left',
        'right',
        'disparity',
        norm='unit',
        order='grey',
        shapes={'disparity': '11HW', 'variance': '11HW', 'visible': '11HW'},
        flags={'visible': Flag(good=1.0, bad=0.0)},
        constants={'variance': 0.04},
        static=False,
    ),
    'psmnet-kitti2015': stereo(
        stretched(256, 512), 'left', 'right', 'disparity', shapes={'disparity': '1HW'}
    ),
    'nvtiny-513x161': stereo(stretched(161, 513), 'left', 'right', 'disparity', norm='unit'),
}

NETWORKS: dict[str, Net] = {**_DEPTH_ANYTHING, **_BY_FOCAL_LENGTH, **_OTHER_MONO, **_MATCHERS}
