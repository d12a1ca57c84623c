"""Maps, operators and answers can be pickled and copied, and work as before."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import cases
import cloudpickle
import numpy as np
import pytest

import convalg as ca

L = ca.layers
SQUARE = np.array([[1.0, 0.5], [0.0, 1.0]])


def network() -> ca.Network:
    made = ca.sequential((1, 8, 8), [L.Conv(2, 3), L.ReLU(), L.MaxPool(2), L.Flatten(), L.Dense(3)])
    return made.initialise(0)


MAPS: dict[str, Callable[[], ca.Map]] = {
    "relu": lambda: ca.relu(3),
    "leaky relu": lambda: ca.leaky_relu(3, Fraction(1, 2)),
    "sigmoid": lambda: ca.sigmoid(3),
    "tanh": lambda: ca.tanh(3),
    "softmax": lambda: ca.softmax(3),
    "max pool": lambda: ca.max_pool(4, 2),
    "min pool": lambda: ca.min_pool(4, 2),
    "lp pool": lambda: ca.lp_pool(4, 2),
    "adaptive max pool": lambda: ca.adaptive_max_pool(5, 3),
    "batch norm": lambda: ca.batch_norm(3, 0.5, 2.0),
    "batch norm in training": lambda: ca.batch_norm_training((2, 3)),
    "response norm": lambda: ca.local_response_norm((3, 2), 3),
    "lstm": lambda: ca.lstm(2, np.ones((8, 2)), np.ones((8, 2))),
    "gru": lambda: ca.gru(2, np.ones((6, 2)), np.ones((6, 2))),
    "rnn": lambda: ca.rnn(2, SQUARE, SQUARE),
    "linear rnn": lambda: ca.rnn(2, SQUARE, SQUARE, activation="linear"),
    "chain": lambda: ca.relu(3) @ ca.correlation(4, [1, 2]),
    "sum": lambda: ca.relu(3) + ca.tanh(3),
    "branches": lambda: ca.concat([ca.relu(3), ca.identity(3)]),
    "affine": lambda: ca.affine(ca.correlation(4, [1, 2]), 1),
    "multiple": lambda: -2 * ca.relu(3),
    "sparse": lambda: ca.resize(3, 6, mode="linear"),
    "product": lambda: ca.correlation(4, [1, 2]).T @ ca.correlation(4, [1, 2]),
    "fraction": lambda: ca.average_pool(4, 2),
    "kron": lambda: ca.correlation(3, [1, 2]).kron(ca.identity(2)),
    "patches": lambda: ca.correlation(4, [1, 2]).by_kernel([1, 2, 3, 4]),
    "transposed matrix": lambda: ca.dense([[1, 2], [3, 4]]).T,
}

CASES = {**{name: make() for name, make in cases.NAMED.items()}, **cases.elementary()}
MAPS.update({name: partial(getattr, case, "operator") for name, case in CASES.items()})

WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MAPS)
def test_maps_and_operators(name: str, way: str) -> None:
    made = MAPS[name]()
    found = WAYS[way](made)
    x = np.arange(np.prod(made.in_shape)).reshape(made.in_shape) - 2
    assert repr(found) == repr(made)
    assert found(x).tolist() == made(x).tolist()
    slope = found.at(x)
    assert np.array_equal(slope.to_numpy(), made.at(x).to_numpy())
    assert slope.T(np.zeros(found.out_shape)).shape == found.in_shape
    arrays = [value for value in vars(found).values() if isinstance(value, np.ndarray)]
    assert not any(array.flags.writeable for array in arrays)


def test_families_and_symbols() -> None:
    n, size = ca.sizes("n K")
    family = ca.correlation(n, ca.kernel(size), padding="same")
    for way in WAYS.values():
        found = way(family)
        assert ca.prove.equal(found, family)
        assert found.at(n=5, K=2).to_sympy() == family.at(n=5, K=2).to_sympy()
        symbolic = ca.correlation(3, ca.kernel(2))
        assert way(symbolic).to_sympy() == symbolic.to_sympy()


def test_a_transpose_of_a_matrix_is_one_object_both_ways() -> None:
    found = pickle.loads(pickle.dumps(ca.dense([[1, 2], [3, 4]]).T))
    assert found.T.T is found


def test_scipys_operator() -> None:
    operator = pickle.loads(pickle.dumps(ca.correlation(3, [1, 2]).to_linear_operator()))
    assert operator.matvec([1, 1, 1]).tolist() == [3, 3]
    assert operator.rmatvec([1, 10]).tolist() == [1, 12, 20]


ANSWERS: dict[str, Callable[[], Any]] = {
    "pattern": lambda: ca.correlation(4, [1, 2]).pattern,
    "counts": lambda: ca.correlation(4, [1, 2]).counts,
    "network": network,
    "field": lambda: network().receptive_field(),
    "exact field": lambda: network().effective_receptive_field("conv1"),
    "summary": lambda: network().summary(),
    "jacobian": lambda: network().jacobian(np.ones((1, 8, 8))),
    "step": lambda: network().explain_step(np.ones((1, 8, 8)), 1),
    "identification": lambda: ca.identify([[1, 2, 0], [0, 1, 2]]),
    "classification": lambda: ca.classify([[1, 2], [2, 1]]),
    "coverage": lambda: ca.coverage(ca.correlation(4, [1, 2])),
    "spectrum": lambda: ca.spectrum(ca.correlation(4, [1, 2])),
    "bounds": lambda: ca.norm_bounds(ca.correlation(4, [1, 2])),
    "history": lambda: ca.train.History([1.0], [0.5], [0.5]),
    "optimiser": lambda: ca.train.Adam(0.1, schedule=ca.train.WarmUp(3, ca.train.Cosine(10))),
    "loss": lambda: ca.train.CrossEntropy(),
    "picture": lambda: ca.draw.modes(4, 2),
    "report": lambda: ca.check.forward(lambda x, w: x, cases=8),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str) -> None:
    made = ANSWERS[name]()
    for way in WAYS.values():
        found = way(made)
        assert type(found) is type(made)
        if " at 0x" not in repr(made):
            assert repr(found) == repr(made)
        if name == "network":
            x = np.linspace(0, 1, 64).reshape(1, 8, 8)
            assert np.array_equal(found(x), made(x))


@pytest.mark.thorough
def test_sheets() -> None:
    made = ca.explain(ca.correlation(4, [1, 2]))
    assert all(way(made).html() == made.html() for way in WAYS.values())


@pytest.mark.thorough
def test_workers_get_maps() -> None:
    from joblib import Parallel, delayed

    made = ca.relu(3) @ ca.correlation(4, [1, -2])
    x = np.arange(4)
    found = Parallel(n_jobs=2)(delayed(made)(x + k) for k in range(3))
    assert [y.tolist() for y in found] == [made(x + k).tolist() for k in range(3)]
