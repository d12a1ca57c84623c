"""The process that runs somebody's function: `python -m convalg.check.worker JOB REPORT`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the job from the command line, check, and leave the report as JSON."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    answer = Path(sys.argv[2])
    # What is needed is loaded before memory is short, and before the file's folder comes first.
    import scipy.fft  # noqa: F401

    from convalg import check
    from convalg.errors import ConvalgError, MissingLibraryError

    _limit(int(job["memory"]))
    result: dict[str, Any]
    try:
        function = _loaded(Path(job["path"]), job["function"])
        if job["jobs"] is not None:
            import cloudpickle

            # The file is no module that a worker could import.
            cloudpickle.register_pickle_by_value(sys.modules["checked"])
        at = answer.with_name(answer.name + ".at")
        at.write_text("the first configuration", encoding="utf-8")

        def progress(done: int, cases: int) -> None:
            at.write_text(f"configuration {done + 1} of {cases}", encoding="utf-8")

        options = {} if job["cases"] is None else {"cases": job["cases"]}
        report = getattr(check, job["kind"])(
            function, dims=job["dims"], progress=progress, jobs=job["jobs"], **options
        )
        result = {**report.to_dict(), "explanation": report.explain()}
    except MissingLibraryError as error:
        result = _refused("missing-library", str(error))
    except ConvalgError as error:
        result = _refused("wrong-signature", str(error))
    # The file is a stranger's: whatever it raises while it is loaded is the report.
    except (Exception, SystemExit) as error:
        result = _refused("raises", f"the file raises {type(error).__name__}: {error}")
    answer.write_text(json.dumps(result), encoding="utf-8")


def _limit(memory: int) -> None:
    """A limit on the address space, where the system has one."""
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        memory = min(memory, most)
    resource.setrlimit(resource.RLIMIT_AS, (memory, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _loaded(path: Path, name: str) -> Any:
    """The function of that name in the file."""
    from convalg.errors import FileError

    # Files beside it can be imported, as when it is run.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location("checked", path)
    if spec is None or spec.loader is None:
        raise FileError(f"{path} is no Python file that can be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules["checked"] = module
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise FileError(f"{path} has no function {name}; it has {', '.join(known) or 'none'}")
    return getattr(module, name)


def _refused(code: str, words: str) -> dict[str, Any]:
    return {
        "passed": False,
        "cases": 0,
        "failures": 1,
        "name": "",
        "diagnosis": [{"code": code, "message": words, "confidence": 1.0}],
        "smallest": None,
        "notes": [],
        "explanation": f"{code}: {words}",
    }


if __name__ == "__main__":
    main()
