"""Importing convalg: light, lazy, and complete."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import convalg as ca

HEAVY = ("numpy", "sympy", "scipy", "matplotlib", "networkx", "islpy", "PIL", "torch", "joblib")


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after some code."""
    script = f"{code}\nimport sys\nsys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy() -> None:
    loaded = modules_after("import convalg\nconvalg.__version__\ndir(convalg)")
    assert not loaded & {*HEAVY}
    own = {name for name in loaded if name.startswith("convalg")}
    assert own == {"convalg", "convalg.version"}


def test_importing_loads_nothing_else() -> None:
    # Not even typing and importlib, which take longer to import than the package itself.
    own = {"convalg", "convalg.version", "__future__"}
    assert modules_after("import convalg") - modules_after("") <= own


def test_numbers_alone_need_no_other_library() -> None:
    loaded = modules_after(
        "import convalg as ca\n"
        "A = ca.correlation((5, 5), [[1, 2], [3, 4]], stride=2, padding=1)\n"
        "(ca.crop((5, 5), 1) @ (2 * A).T)([[1, 2, 3]] * 3); repr(A); A.kernel"
    )
    assert "numpy" in loaded
    assert not loaded & {*HEAVY} - {"numpy"}


def test_a_star_import_gives_every_public_name() -> None:
    modules_after(
        "from convalg import *\n"
        "import convalg\n"
        "missing = [name for name in convalg.__all__ if name not in globals()]\n"
        "assert not missing, missing"
    )


@pytest.mark.parametrize("name", ca.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(ca, name) is getattr(ca, name)
    assert name in dir(ca)


def test_public_names_are_listed_once_in_order() -> None:
    assert sorted({*ca.__all__}) == ca.__all__
    assert [name for name in dir(ca) if name in {*ca.__all__}] == ca.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'convalg' has no attribute 'deconvolution'"):
        ca.deconvolution  # noqa: B018


def test_the_version_is_that_of_the_package() -> None:
    assert ca.__version__ == importlib.metadata.version("convalg")
