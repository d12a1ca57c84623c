"""Images as arrays of bytes: reading files of unknown origin, and one embedded photograph."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from convalg.arguments import shown
from convalg.arrays import as_numbers
from convalg.errors import FileError, KindError, ShapeError
from convalg.files import opened
from convalg.parallel import each

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]
Result = TypeVar("Result")

FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 50_000_000
MOST_BYTES = 200_000_000
CREDIT = "Chelsea the cat, by Stefan van der Walt (CC0), 128 x 128 pixels of it"

_IMAGE = f"a PNG or JPEG image of at most {MOST_PIXELS:,} pixels"
_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")

# Exceptions that the decoders of Pillow raise for broken files.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def read_image(path: str | os.PathLike[str]) -> Pixels:
    """Return the pixels of a PNG or JPEG file.

    The image is rotated by its EXIF orientation. Samples of 16 bits are reduced to their upper 8
    bits, transparent pixels are drawn on white, and palettes and other colour spaces are converted
    to red, green and blue.

    Args:
        path: Path of the file.

    Returns:
        A uint8 array of shape (1, height, width) for a grey image and (3, height, width) for any
        other.

    Raises:
        FileError: when the file is missing, broken, in another format, or has too many bytes or
            pixels; the number of pixels is checked before they are decoded.
        KindError: when `path` is not a path.

    >>> import pathlib, tempfile
    >>> import convalg.images
    >>> folder = pathlib.Path(convalg.images.__file__).parent
    >>> convalg.images.read_image(folder / "assets" / "photograph.png").shape
    (3, 128, 128)
    """
    if not isinstance(path, (str, os.PathLike)):
        raise KindError(
            f"path must be the path of an image file, not {shown(path)} ({type(path).__name__})"
        )
    source = Path(path)
    with opened(source, _IMAGE, most=MOST_BYTES) as (file, _):
        return _decoded(file, repr(str(source)))


def photograph() -> Pixels:
    """Return the photograph in the package, a uint8 array of shape (3, 128, 128).

    It shows Chelsea the cat, by Stefan van der Walt (CC0).

    >>> from convalg.images import photograph
    >>> photograph().shape
    (3, 128, 128)
    """
    with resources.files("convalg").joinpath("assets", "photograph.png").open("rb") as file:
        return _decoded(file, "the embedded photograph")


def grey(image: Pixels) -> Pixels:
    """Return the luma of a colour image: (299 R + 587 G + 114 B) / 1000, rounded.

    Args:
        image: A uint8 array of shape (3, height, width), or (1, height, width) for an image that is
            grey already and is returned unchanged.

    Returns:
        A uint8 array of shape (1, height, width).

    Raises:
        ShapeError: when the image does not have three axes with one or three channels.
        KindError: when the image is not an array of bytes.

    Source:
        ITU-R BT.601.

    >>> import numpy as np
    >>> from convalg.images import grey
    >>> grey(np.array([[[255]], [[0]], [[0]]], dtype=np.uint8)).tolist()
    [[[76]]]
    """
    image = as_numbers(image, "image")
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ShapeError(f"image must have shape (1 or 3, height, width), not {image.shape}")
    if image.dtype != np.uint8:
        raise KindError(
            f"image must hold bytes (uint8), not {image.dtype}: use image.astype(np.uint8)"
        )
    if image.shape[0] == 1:
        return image
    red, green, blue = image.astype(np.int64)
    luma: Pixels = ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)
    return luma[None]


def apply(
    f: Callable[[Pixels], Result],
    images: Iterable[str | os.PathLike[str] | Pixels],
    *,
    jobs: int | None = None,
) -> list[Result]:
    """Return the list of `f(image)` for each image, in the order of the images.

    Args:
        f: A function of one image, an array of shape (1 or 3, height, width).
        images: A list of arrays, or of paths that `read_image` reads in the worker that calls f.
        jobs: Number of joblib workers: None or 1 for this process, -1 for all workers. They are
            processes of this machine unless `joblib.parallel_config` sets another backend, such as
            a Dask or Ray cluster.

    Raises:
        FileError: when `read_image` cannot read a file.
        ArgumentError: when `jobs` is not a number of workers.
        KindError: when f is not a function or cannot be sent to workers, or `images` is not a
            list.

    >>> import convalg as ca
    >>> from convalg.images import apply, grey, photograph
    >>> def edges(image):
    ...     return ca.correlation(image.shape[1:], ca.kernels.sobel_x)(grey(image)[0].astype(int))
    >>> [y.shape for y in apply(edges, [photograph(), photograph()[:, :64]])]
    [(126, 126), (62, 126)]
    """
    if not callable(f):
        raise KindError(f"f must be a function of an image, not {shown(f)}")
    if not isinstance(images, Iterable) or isinstance(images, (str, bytes)):
        raise KindError(f"images must be a list of paths or of arrays, not {shown(images)}")
    return list(each(partial(_applied, f), list(images), jobs))


def _applied(f: Callable[[Pixels], Result], image: str | os.PathLike[str] | Pixels) -> Result:
    return f(image if isinstance(image, np.ndarray) else read_image(image))


def _decoded(file: IO[bytes], name: str) -> Pixels:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # The check of the size raises an error with a clearer message than the warning of
            # Pillow, and its other warnings are about harmless faults such as bad metadata.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                _check_size(image, name)
                return _pixels(ImageOps.exif_transpose(image))
    except FileError:
        raise
    except Image.DecompressionBombError:
        raise FileError(f"{name} has too many pixels: give {_IMAGE}") from None
    except UnidentifiedImageError:
        raise FileError(f"{name} is not an image that can be read: give {_IMAGE}") from None
    except _BROKEN as error:
        raise FileError(f"{name} is broken ({error}): give {_IMAGE}") from None


def _check_size(image: Image, name: str) -> None:
    """Raise FileError when the image has too many pixels by its header."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise FileError(f"{name} is {width} x {height}, {width * height:,} pixels: give {_IMAGE}")


def _pixels(image: Image) -> Pixels:
    """Return the pixels of an image in any mode of PNG and JPEG files, grey or RGB, as uint8."""
    from PIL import Image

    if image.mode.startswith("I"):
        return (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)[None]
    if image.mode in _ALPHA or "transparency" in image.info:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        is_grey = image.mode in ("1", "L", "LA", "La")
        image = Image.alpha_composite(white, colours).convert("L" if is_grey else "RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "L":
        return np.array(image, dtype=np.uint8)[None]
    return np.ascontiguousarray(np.moveaxis(np.array(image.convert("RGB")), -1, 0))
