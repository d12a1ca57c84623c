"""The zoo: parameters, shapes and fields as published, and as torchvision's own definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.network.summary import summary

zoo = ca.zoo

PARAMETERS: list[tuple[str, dict[str, Any], int]] = [
    ("alexnet", {"variant": "torchvision"}, 61_100_840),
    ("alexnet", {}, 60_965_224),
    ("alexnet", {"groups": 1}, 62_378_344),
    ("vgg11", {}, 132_863_336),
    ("vgg16", {}, 138_357_544),
    ("vgg19", {}, 143_667_240),
    ("googlenet", {}, 6_998_552),
    ("googlenet", {"variant": "torchvision"}, 6_624_904),
    ("resnet18", {}, 11_689_512),
    ("resnet34", {}, 21_797_672),
    ("resnet50", {}, 25_557_032),
    ("resnet50", {"version": "v1.5"}, 25_557_032),
    ("unet", {}, 31_030_658),
    ("lenet5", {}, 60_000),
]


@pytest.mark.parametrize(("name", "options", "count"), PARAMETERS)
def test_published_parameters(name: str, options: dict[str, Any], count: int) -> None:
    assert getattr(zoo, name)(**options).parameters == count


def test_lenet_is_the_one_of_1998() -> None:
    net = zoo.lenet5()
    wanted = {
        "C1": (156, 122_304, 5),
        "S2": (12, 5_880, 6),
        "C3": (1_516, 151_600, 14),
        "S4": (32, 2_000, 16),
        "C5": (48_120, 48_120, 32),
        "F6": (10_164, 10_164, 32),
    }
    for node, (parameters, connections, size) in wanted.items():
        cost = net.cost(node)
        # A connection for each weight that is used and each bias: unshared, all are parameters.
        assert (cost.parameters, cost.unshared) == (parameters, connections), node
        assert net.receptive_field(node).size == (size, size), node


def test_vgg16_multiplications() -> None:
    net = zoo.vgg16()
    convs = [net.cost(node) for node in net if node.startswith("conv")]
    assert sum(cost.padded for cost in convs) == 15_346_630_656
    assert sum(cost.nonzeros for cost in convs) == 14_846_190_336


FIELDS = [
    ("vgg16", {}, "pool5", 212, 32, 90),
    ("resnet50", {}, "layer4.2.relu", 483, 32, 239),
    ("resnet101", {}, "layer4.2.relu", 1027, 32, 511),
    ("resnet50", {"version": "v1.5"}, "layer4.2.relu", 427, 32, 213),
    ("resnet18", {"version": "v1.5"}, "layer4.1.relu", 435, 32, 217),
]


@pytest.mark.parametrize(("name", "options", "node", "size", "stride", "padding"), FIELDS)
def test_published_fields(
    name: str, options: dict[str, Any], node: str, size: int, stride: int, padding: int
) -> None:
    net = getattr(zoo, name)((3, 224, 224), None, **options)
    field = net.receptive_field(node)
    assert (field.size, field.stride, field.padding) == ((size,) * 2, (stride,) * 2, (padding,) * 2)


SHAPES: list[tuple[str, dict[str, Any], str | None, tuple[int, ...]]] = [
    ("alexnet", {}, "pool5", (256, 6, 6)),
    ("googlenet", {}, "inception4a", (512, 14, 14)),
    ("googlenet", {}, "inception5b", (1024, 7, 7)),
    ("inception_v3", {}, "Mixed_5b", (256, 35, 35)),
    ("inception_v3", {}, "Mixed_6a", (768, 17, 17)),
    ("inception_v3", {}, "Mixed_7c", (2048, 8, 8)),
    ("unet", {}, None, (2, 388, 388)),
    ("unet", {}, "bottom.conv2", (1024, 28, 28)),
    ("mobilenet_v1", {}, "block13.pointwise.relu", (1024, 7, 7)),
    ("mobilenet_v2", {}, "conv2.relu", (1280, 7, 7)),
    ("fcn", {"stride": 8}, None, (21, 500, 500)),
    ("fcn", {"stride": 16}, None, (21, 500, 500)),
    ("fcn", {"stride": 32}, None, (21, 500, 500)),
    ("dcgan_generator", {}, None, (3, 64, 64)),
    ("dcgan_discriminator", {}, None, (1, 1, 1)),
    ("vae", {}, None, (1, 64, 64)),
    ("vit_patches", {}, None, (196, 768)),
    ("mlp", {}, None, (10,)),
]


@pytest.mark.parametrize(("name", "options", "node", "shape"), SHAPES)
def test_published_shapes(
    name: str, options: dict[str, Any], node: str | None, shape: tuple[int, ...]
) -> None:
    net = getattr(zoo, name)(**options)
    assert (net.out_shape if node is None else net.shapes[node]) == shape


@pytest.mark.parametrize("name", zoo.__all__)
def test_every_network_has_a_table_and_no_misalignment(name: str) -> None:
    net = getattr(zoo, name)()
    table = summary(net)
    assert table.parameters == net.parameters
    assert len(table.rows) == len(net)
    assert not net.misalignments


SMALL: dict[str, tuple[Callable[[], Any], int]] = {
    "alexnet": (lambda: zoo.alexnet((3, 67, 67), 5, hidden=8), 5),
    "dcgan_discriminator": (lambda: zoo.dcgan_discriminator(width=2), 1),
    "dcgan_generator": (lambda: zoo.dcgan_generator((5, 1, 1), width=2), 3 * 64 * 64),
    "fcn": (lambda: zoo.fcn((3, 40, 48), 2, width=2, hidden=4), 2 * 40 * 48),
    "googlenet": (lambda: zoo.googlenet((3, 64, 64), 5), 5),
    "inception_v3": (lambda: zoo.inception_v3((3, 75, 75), 5), 5),
    "lenet5": (lambda: zoo.lenet5(), 10),
    "mlp": (lambda: zoo.mlp((1, 6, 6), 4, hidden=(5,)), 4),
    "mobilenet_v1": (lambda: zoo.mobilenet_v1((3, 32, 32), 4, width=0.25), 4),
    "mobilenet_v2": (lambda: zoo.mobilenet_v2((3, 32, 32), 4, width=0.25), 4),
    "rcnn": (
        lambda: zoo.rcnn(
            zoo.vgg16((3, 32, 48), None, width=2), [(0, 0, 31, 31)], 3, at="relu5_3", hidden=4
        ),
        3,
    ),
    "resnet18": (lambda: zoo.resnet18((3, 32, 32), 4, width=4), 4),
    "resnet50": (lambda: zoo.resnet50((3, 32, 32), 4, width=4), 4),
    "unet": (lambda: zoo.unet((1, 44, 44), 2, width=2, depth=2), 2 * 4 * 4),
    "vae": (lambda: zoo.vae((1, 32, 16), 3, width=2, hidden=4), 32 * 16),
    "vgg11": (lambda: zoo.vgg11((3, 32, 32), 4, width=4, hidden=8), 4),
    "vit_patches": (lambda: zoo.vit_patches((3, 8, 8), 4, patch=4), 16),
}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_small_ones_run_and_their_jacobian_is_their_slope(name: str) -> None:
    make, count = SMALL[name]
    net = make().initialise(seed=2, dtype=np.float64)
    random = np.random.default_rng(3)
    for node, arrays in net.weights.items():
        if "points" in arrays or "noise" in arrays:
            key = next(iter(arrays))
            net.set_weights(node, **{key: random.standard_normal(arrays[key].shape)})
    x, direction = random.standard_normal((2, *net.in_shape))
    y = net(x)
    assert y.size == count
    assert np.isfinite(y).all()
    step = 1e-8
    slope = (net(x + step * direction) - net(x - step * direction)) / (2 * step)
    # Maxima and ReLUs have kinks, which so small a step seldom crosses.
    np.testing.assert_allclose(net.jacobian(x)(direction), slope, rtol=1e-3, atol=1e-5)


def test_sizes_may_be_letters() -> None:
    n, m = ca.sizes("n m")
    net = zoo.resnet18((3, n, m), None)
    assert net.receptive_field("layer4.1.relu").size == (435, 435)
    at = {n: 224, m: 160}
    assert [k.subs(at) for k in net.out_shape[1:]] == [7, 5]


def test_other_numbers_of_axes() -> None:
    assert zoo.resnet18((3, 64), 4).out_shape == (4,)
    assert zoo.unet((1, 20, 20, 20), depth=1, width=2).out_shape == (2, 4, 4, 4)
    assert zoo.vgg11((1, 32), 3, width=2, hidden=4).out_shape == (3,)


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: zoo.alexnet(variant="2013"), "variant must be one of '2012', 'torchvision'"),
    (lambda: zoo.resnet50(version="v2"), "version must be one of"),
    (lambda: zoo.lenet5(output="rbf"), "output must be one of"),
    (lambda: zoo.unet(padding="half"), "padding must be one of"),
    (lambda: zoo.fcn(stride=4), "stride must be one of 32, 16, 8"),
    (lambda: zoo.vae((1, 40, 64)), "sizes of in_shape must be multiples of 16, not 40"),
    (lambda: zoo.unet((1, 9, 9)), "cannot be applied to"),
    (lambda: zoo.lenet5((1, 9, 9)), "cannot be applied to"),
]


@pytest.mark.parametrize(("call", "words"), BAD)
def test_bad_choices(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()


def torchvision_models() -> Any:
    """torchvision.models, whose compiled operators may be those of another build of PyTorch."""
    torch = pytest.importorskip("torch")
    try:
        import torchvision
    except ImportError:
        pytest.skip("torchvision is not installed")
    except RuntimeError:
        # The operators that it describes on import, and that no classifier uses.
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        import torchvision
    return torchvision.models


THEIRS: list[tuple[str, dict[str, Any], str, dict[str, Any], tuple[int, ...]]] = [
    ("alexnet", {"variant": "torchvision"}, "alexnet", {}, (3, 64, 64)),
    ("vgg11", {}, "vgg11", {}, (3, 224, 224)),
    ("vgg13", {"batch_norm": True}, "vgg13_bn", {}, (3, 224, 224)),
    ("googlenet", {"variant": "torchvision"}, "googlenet", {"aux_logits": False}, (3, 96, 96)),
    ("inception_v3", {}, "inception_v3", {"aux_logits": True}, (3, 107, 107)),
    ("resnet18", {"version": "v1.5"}, "resnet18", {}, (3, 65, 64)),
    ("resnet34", {"version": "v1.5"}, "resnet34", {}, (3, 64, 64)),
    ("resnet50", {"version": "v1.5"}, "resnet50", {}, (3, 64, 64)),
    ("resnet152", {"version": "v1.5"}, "resnet152", {}, (3, 64, 64)),
    ("mobilenet_v2", {}, "mobilenet_v2", {}, (3, 64, 64)),
]


@pytest.mark.parametrize(("name", "options", "theirs", "arguments", "in_shape"), THEIRS)
def test_the_same_function_as_torchvision(
    name: str,
    options: dict[str, Any],
    theirs: str,
    arguments: dict[str, Any],
    in_shape: tuple[int, ...],
) -> None:
    """With the same weights, in the order of the layers: parameters, counts, fields, outputs."""
    models = torchvision_models()
    import torch

    if name in ("googlenet", "inception_v3"):
        arguments = {**arguments, "init_weights": False, "transform_input": False}
    torch.manual_seed(0)
    module = getattr(models, theirs)(weights=None, **arguments).eval()
    read = ca.from_torch(module, in_shape)
    net = getattr(zoo, name)(in_shape, **options)
    assert net.parameters == read.parameters
    assert net.counts == read.counts
    mine, other = (
        [node for node, layer in n.layers() if layer.weights(*n.input_shapes(node))]
        for n in (net, read)
    )
    for node, source in zip(mine, other, strict=True):
        net.set_weights(node, **read.weights[source])
        here, there = net.receptive_field(node), read.receptive_field(source)
        assert (here.size, here.stride, here.padding) == (there.size, there.stride, there.padding)
    x = torch.rand((2, *in_shape))
    with torch.no_grad():
        wanted = module(x).numpy()
    np.testing.assert_allclose(net(x.numpy()), wanted, rtol=1e-3, atol=1e-4 * abs(wanted).max())
