"""Epoch times of a LeNet-5-like network and PyTorch's: python benchmarks/train_lenet.py

The same network, initial weights, batches, optimiser and number of threads, in float32, with 28x28
images in batches of 64. Each of several processes runs all trainers in turns; the ratio of a
process is the median over its turns of a trainer's time to that of PyTorch eager just before. On a
machine with other work only the ratios are meaningful. PyTorch is required.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

BATCH = 64
LEARNING_RATE = 0.02
MOMENTUM = 0.9
EQUAL_STEPS = 20
WARM_UP = 10
TRAINERS = ("torch", "torch channels_last", "convalg blas", "convalg sparse")

Array = Any
Step = Callable[[int], float]


def data(steps: int) -> tuple[Array, Array]:
    """Random images with labels that can be learned: the brightest of ten pixels."""
    random = np.random.default_rng(0)
    images = random.random((steps * BATCH, 1, 28, 28), dtype=np.float32)
    return images, images[:, 0, 4:24:2, 14].argmax(axis=1)


def network() -> Any:
    """The network, and its initial weights."""
    from convalg.train import recipes

    return recipes.network("lenet5", (1, 28, 28), 10).initialise(0)


def ours(engine: Any, images: Array, labels: Array) -> Step:
    """One step of our trainer: what `ca.fit` does for a batch."""
    from convalg.train import SGD, CrossEntropy
    from convalg.train.plan import TrainingPlan

    plan = TrainingPlan(network(), engine=engine)
    program, loss = plan.program(BATCH), CrossEntropy()
    optimiser = SGD(LEARNING_RATE, momentum=MOMENTUM)
    parameters, gradients = {"all": plan.parameters}, {"all": plan.gradients}
    state = optimiser.start(parameters)
    random = np.random.default_rng(0)
    buffer = np.empty((1, 28, 28, BATCH), dtype=np.float32)

    def step(number: int) -> float:
        part = slice(number * BATCH, (number + 1) * BATCH)
        np.copyto(buffer, np.moveaxis(images[part], 0, -1))
        scores = program.forward(buffer, random)
        value, gradient = loss.value_and_gradient(scores, labels[part])
        program.backward(gradient)
        optimiser.update(parameters, gradients, state, number)
        return value

    return step


def theirs(images: Array, labels: Array, threads: int, *, channels_last: bool) -> Step:
    """One step of the usual PyTorch loop."""
    import torch

    torch.set_num_threads(threads)
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )
    arrays = [array for own in network().weights.values() for array in own.values()]
    with torch.no_grad():
        for parameter, array in zip(module.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(array))
    form = torch.channels_last if channels_last else torch.contiguous_format
    module = module.to(memory_format=form)  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    criterion = nn.CrossEntropyLoss()
    pictures, marks = torch.from_numpy(images), torch.from_numpy(labels)

    def step(number: int) -> float:
        part = slice(number * BATCH, (number + 1) * BATCH)
        optimiser.zero_grad()
        loss = criterion(module(pictures[part].contiguous(memory_format=form)), marks[part])
        loss.backward()
        optimiser.step()
        return float(loss.item())

    return step


def make(name: str, images: Array, labels: Array, threads: int) -> Step:
    """The step of a trainer by its name."""
    kind, _, form = name.partition(" ")
    if kind == "convalg":
        return ours(form, images, labels)
    return theirs(images, labels, threads, channels_last=form == "channels_last")


def sgemm_rate() -> float:
    """Billions of operations a second of NumPy's product of two float32 matrices."""
    size, best = 768, float("inf")
    a = np.ones((size, size), dtype=np.float32)
    for _ in range(8):
        start = time.perf_counter()
        np.matmul(a, a)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def measured(names: Sequence[str], rounds: int, steps: int, threads: int) -> dict[str, Any]:
    """In this process: the seconds of every turn, and the first losses."""
    images, labels = data(max(steps, EQUAL_STEPS, WARM_UP))
    trainers = {name: make(name, images, labels, threads) for name in names}
    losses = {name: [step(k) for k in range(EQUAL_STEPS)] for name, step in trainers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, step in trainers.items():
            start = time.perf_counter()
            for k in range(steps):
                step(k)
            seconds[name].append(time.perf_counter() - start)
    return {
        "seconds": seconds,
        "losses": losses,
        "sgemm": sgemm_rate(),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def child(names: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """The same in a separate process."""
    count = str(options.threads)
    done = subprocess.run(
        [
            sys.executable,
            __file__,
            "--child",
            json.dumps([list(names), options.rounds, options.steps, options.threads]),
        ],
        env={**os.environ, "OPENBLAS_NUM_THREADS": count, "OMP_NUM_THREADS": count},
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def ratios(result: dict[str, Any], name: str, base: str) -> float:
    """The median over the turns of one process."""
    pairs = zip(result["seconds"][name], result["seconds"][base], strict=True)
    return statistics.median(a / b for a, b in pairs)


def table(every: list[dict[str, Any]], memory: dict[str, float], options: Any) -> str:
    """The result as text."""
    core = os.environ.get("OPENBLAS_CORETYPE", "as OpenBLAS chooses")
    rates = [f"{result['sgemm']:.0f}" for result in every]
    lines = [
        f"LeNet-5-like, 28x28, batch {BATCH}, float32, {options.threads} thread(s), "
        f"{options.processes} processes of {options.rounds} turns of {options.steps} steps",
        f"OPENBLAS_CORETYPE: {core}; sgemm GFlop/s: {', '.join(rates)}",
        "",
        "| trainer | ms a step | to torch | each process | to channels_last | loss differs by "
        "| peak MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in TRAINERS:
        times = [1000 * s / options.steps for result in every for s in result["seconds"][name]]
        eager = [ratios(result, name, TRAINERS[0]) for result in every]
        last = [ratios(result, name, TRAINERS[1]) for result in every]
        apart = max(
            abs(a - b) / abs(b)
            for result in every
            for a, b in zip(result["losses"][name], result["losses"][TRAINERS[0]], strict=True)
        )
        lines.append(
            f"| {name} | {statistics.median(times):.2f} | {statistics.median(eager):.2f} | "
            f"{' '.join(f'{r:.2f}' for r in eager)} | {statistics.median(last):.2f} | "
            f"{apart:.0e} | {memory[name]:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each trainer in a process")
    parser.add_argument("--steps", type=int, default=40, help="steps of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measured(*json.loads(options.child))))
        return
    every = [child(TRAINERS, options) for _ in range(options.processes)]
    memory = {name: child([name], options)["memory"] for name in TRAINERS}
    print(table(every, memory, options))


if __name__ == "__main__":
    main()
