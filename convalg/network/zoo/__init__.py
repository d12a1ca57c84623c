"""Published networks without weights; `net.initialise(seed)` fills them with random weights.

Sizes are arguments. `in_shape` is `(channels, *spatial)` and may have any number of spatial axes
unless a function requires two; spatial sizes may be symbols of `ca.sizes` unless a dense layer
depends on them. `classes=None` omits the classifier. Outputs are the scores before a softmax. The
networks are as in the papers unless `variant` selects another version.
"""

from __future__ import annotations

from convalg.network.zoo.alexnet import alexnet
from convalg.network.zoo.fcn import fcn
from convalg.network.zoo.generative import dcgan_discriminator, dcgan_generator, vae
from convalg.network.zoo.googlenet import googlenet
from convalg.network.zoo.inception import inception_v3
from convalg.network.zoo.lenet import lenet5, mlp
from convalg.network.zoo.mobilenet import mobilenet_v1, mobilenet_v2
from convalg.network.zoo.rcnn import rcnn
from convalg.network.zoo.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from convalg.network.zoo.unet import unet
from convalg.network.zoo.vgg import vgg11, vgg13, vgg16, vgg19
from convalg.network.zoo.vit import vit_patches

__all__ = [
    "alexnet",
    "dcgan_discriminator",
    "dcgan_generator",
    "fcn",
    "googlenet",
    "inception_v3",
    "lenet5",
    "mlp",
    "mobilenet_v1",
    "mobilenet_v2",
    "rcnn",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "unet",
    "vae",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "vit_patches",
]
