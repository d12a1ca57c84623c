"""Images: safe reading of image files, and one embedded photograph."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 50_000_000
MOST_BYTES = 200_000_000
CREDIT = "Chelsea the cat, by Stefan van der Walt (CC0), 128 x 128 pixels of it"

_WORDS = f"a PNG or JPEG image of at most {MOST_PIXELS:,} pixels"
_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")

# Exceptions of Pillow's decoders for broken files, besides Pillow's own.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def read_image(path: str | os.PathLike[str]) -> Pixels:
    """Read the pixels of a PNG or JPEG file, rotated as its EXIF orientation says.

    Of 16 bits the upper 8 are kept; transparent pixels are drawn on white; palettes and other
    colour spaces are converted to red, green, blue.

    Args:
        path: Path of the file.

    Returns:
        The pixels, uint8: (1, height, width) for a grey image, (3, height, width) for any other.

    Raises:
        FileError: when the file is missing, broken, not an image, in another format, or larger
            than allowed (before its pixels are decoded).
        KindError: when `path` is not a path.

    >>> import pathlib, tempfile
    >>> import convalg.images
    >>> folder = pathlib.Path(convalg.images.__file__).parent
    >>> convalg.images.read_image(folder / "assets" / "photograph.png").shape
    (3, 128, 128)
    """
    if not isinstance(path, (str, os.PathLike)):
        raise KindError(f"an image is read from a path, not from a {type(path).__name__}")
    source = Path(path)
    with opened(source, _WORDS, most=MOST_BYTES) as (file, _):
        return _decoded(file, repr(str(source)))


def photograph() -> Pixels:
    """Return the embedded photograph, (3, 128, 128) uint8.

    It shows Chelsea the cat, by Stefan van der Walt (CC0).

    >>> photograph().shape
    (3, 128, 128)
    """
    with resources.files("convalg").joinpath("assets", "photograph.png").open("rb") as file:
        return _decoded(file, "the embedded photograph")


def grey(image: Pixels) -> Pixels:
    """Convert an image of three channels to one channel of luma; keep one channel unchanged.

    Rule: (299 R + 587 G + 114 B) / 1000, rounded. Source: ITU-R BT.601.

    Raises:
        ShapeError: unless there are one or three channels.
        KindError: unless it is uint8.

    >>> grey(np.array([[[255]], [[0]], [[0]]], dtype=np.uint8)).tolist()
    [[[76]]]
    """
    image = as_numbers(image, "an image")
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ShapeError(f"an image must be (1 or 3, height, width), not {image.shape}")
    if image.dtype != np.uint8:
        raise KindError(f"an image must hold bytes (uint8), not {image.dtype}")
    if image.shape[0] == 1:
        return image
    red, green, blue = image.astype(np.int64)
    return ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)[None]


def apply(
    f: Callable[[Pixels], Any],
    images: Iterable[str | os.PathLike[str] | Pixels],
    *,
    jobs: int | None = None,
) -> list[Any]:
    """Return `f(image)` for each image, in order.

    Args:
        f: Function of an array of pixels.
        images: Paths, each read by `read_image` in the worker that calls f, or arrays of pixels.
        jobs: Number of joblib workers that share the images: of this machine (-1 for all), or of
            the backend that `joblib.parallel_config` names, such as a Dask or Ray cluster.

    Raises:
        FileError: as `read_image`.
        KindError: for a function that cannot be sent to workers.

    >>> import convalg as ca
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


def _applied(f: Callable[[Pixels], Any], image: str | os.PathLike[str] | Pixels) -> Any:
    return f(image if isinstance(image, np.ndarray) else read_image(image))


def _decoded(file: Any, name: str) -> Pixels:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes that the check below refuses with a clearer message, and
            # of harmless faults such as bad metadata.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as image:
                _check_size(image, name)
                return _pixels(ImageOps.exif_transpose(image))
    except FileError:
        raise
    except Image.DecompressionBombError:
        raise FileError(f"{name} is larger than allowed: give {_WORDS}") from None
    except Image.UnidentifiedImageError:
        raise FileError(f"{name} is not an image that can be read: give {_WORDS}") from None
    except _BROKEN as error:
        raise FileError(f"{name} is broken ({error}): give {_WORDS}") from None


def _check_size(image: Image, name: str) -> None:
    """Raise FileError when the header says that there are too many pixels."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise FileError(f"{name} is {width} x {height}, {width * height:,} pixels: give {_WORDS}")


def _pixels(image: Image) -> Pixels:
    """Convert any mode of PNG and JPEG files to grey or to red, green, blue."""
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
