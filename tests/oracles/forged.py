"""Certificates that are written without a proof, and manifests that are changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convalg.prove.certificates import Evidence, digest, file_name


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def write(folder: Path, claims: list[Evidence]) -> None:
    """Write the obligations of claims, whether or not they are true, in place of the old ones."""
    for path in folder.glob("*.smt2"):
        path.unlink()
    entries = []
    for number, claim in enumerate(claims):
        entry = claim.manifest() | {"obligations": []}
        for obligation in claim.obligations():
            name = file_name(number, obligation)
            (folder / name).write_text(obligation.text)
            entry["obligations"].append(
                {
                    "file": name,
                    "sentence": obligation.sentence,
                    "expected": obligation.expected,
                    "sha256": digest(obligation.text),
                }
            )
        entries.append(entry)
    edit(folder, lambda manifest: manifest.update(claims=entries))


def sums(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the right sums of all files into a manifest."""
    for claim in manifest["claims"]:
        for entry in claim["obligations"]:
            entry["sha256"] = hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()
