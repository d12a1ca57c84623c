"""Options, markers and Hypothesis profiles of the test suite."""

from __future__ import annotations

import gc
import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# Two workers on two cores: more threads of BLAS wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "quick", derandomize=True, deadline=None, max_examples=50, suppress_health_check=SLOW
)
settings.register_profile(
    "thorough", derandomize=True, deadline=None, max_examples=1000, suppress_health_check=SLOW
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run the tests marked thorough too, and draw many more examples",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: long sweeps, run with --thorough only")
    settings.load_profile("thorough" if config.getoption("--thorough") else "quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if named := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"names of tests must be the same in every process: {named[0]}")
    if config.getoption("--thorough"):
        return
    skipped = pytest.mark.skip(reason="long: run with --thorough")
    for item in items:
        if "thorough" in item.keywords:
            item.add_marker(skipped)


def pytest_collection_finish() -> None:
    """What stands by now stays: to look through it for garbage again and again takes minutes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True, scope="module")
def one_thread_of_torch() -> None:
    """Threads that wait for each other take five times as long over arrays this small."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
