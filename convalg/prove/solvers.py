"""The solvers that check the obligations of a certificate, with a limit of their work in total."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol

from convalg.prove.decisions.families import BUDGET
from convalg.prove.decisions.nonlinear import UNITS
from convalg.prove.decisions.smtlib import Answer, solve

UNITS_OF_ONE = {"z3": UNITS * BUDGET, "cvc5": 300_000}
"""The resource units that one obligation may use, by solver."""
UNITS_OF_ALL = {"z3": 2 * UNITS * BUDGET, "cvc5": 10_000_000}
"""The resource units that all obligations of a certificate may use, by solver."""


class Ask(Protocol):
    """A solver: a function that returns its answer to a script and the units that it used."""

    def __call__(self, text: str, units: int) -> tuple[Answer, int]:
        """Return the answer to a script within a number of resource units."""


class Solvers:
    """Solvers by name, which answer until their units are used up.

    Args:
        each: the solvers.

    >>> solvers = Solvers({"z3": ask_z3})
    >>> solvers.answers("(declare-const n Int) (assert (> n 1)) (assert (< n 2))")
    {'z3': 'unsat'}
    >>> solvers.used_up
    []
    """

    def __init__(self, each: dict[str, Ask]) -> None:
        self._each = each
        self._left = {name: UNITS_OF_ALL.get(name, UNITS * BUDGET) for name in each}

    @property
    def used_up(self) -> list[str]:
        """The names of the solvers that have no units left."""
        return [name for name, units in self._left.items() if units <= 0]

    def answers(self, text: str) -> dict[str, Answer]:
        """Return the answer of each solver to a script: "unknown" where no units are left."""
        answers: dict[str, Answer] = {}
        for name, ask in self._each.items():
            units = min(self._left[name], UNITS_OF_ONE.get(name, UNITS * BUDGET))
            answers[name], used = ask(text, units) if units > 0 else ("unknown", 0)
            self._left[name] -= used
        return answers


def installed() -> dict[str, Ask]:
    """Return the solvers that are installed: z3, and cvc5 as an independent one."""
    each: dict[str, Ask] = {"z3": ask_z3}
    if find_spec("cvc5") is not None:
        each["cvc5"] = ask_cvc5
    return each


def ask_z3(text: str, units: int) -> tuple[Answer, int]:
    """Return the answer of z3 to a script, and the units that it used.

    >>> ask_z3("(declare-const n Int) (assert (= (* 2 n) 1))", 10_000)[0]
    'unsat'
    """
    solution = solve(text, units)
    return solution.answer, solution.units


def ask_cvc5(text: str, units: int) -> tuple[Answer, int]:
    """Return the answer of cvc5 to a script with a `check-sat`, and the units that it used."""
    import cvc5

    solver = cvc5.Solver()
    solver.setOption("rlimit", str(units))
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "obligation")
    symbols, answer = parser.getSymbolManager(), ""
    while not (command := parser.nextCommand()).isNull():
        answer += command.invoke(solver, symbols)
    used = int(solver.getStatistics()["resource::resourceUnitsUsed"]["value"])
    match answer.strip():
        case "sat":
            return "sat", used
        case "unsat":
            return "unsat", used
    return "unknown", used
