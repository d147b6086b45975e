"""Fuzz with atheris, guided by coverage: ``python -m tests.fuzz TARGET [SECONDS]``.

What it finds is written as a file ``crash-*`` beside the corpus in ``.fuzz/TARGET``, and is replayed with
``python -m tests.fuzz TARGET FILE``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # pyright: ignore[reportMissingImports] - installed by `make fuzz` alone

with atheris.instrument_imports(include=["replicell"]):  # pyright: ignore[reportAttributeAccessIssue] - untyped
    from tests.fuzz.targets import TARGETS, seeds

LONGEST_INPUT = 4096


def main(words: list[str]) -> int:
    if not words or words[0] not in TARGETS:
        print(f"python -m tests.fuzz {'|'.join(TARGETS)} [SECONDS | FILE]", file=sys.stderr)
        return 2
    name, what = words[0], words[1] if len(words) > 1 else "60"
    if not what.isdigit():
        TARGETS[name](Path(what).read_bytes())
        print(f"{what} does no harm")
        return 0
    corpus = Path(".fuzz", name)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed{number}").write_bytes(seed)
    options = [
        f"-max_total_time={what}",
        f"-max_len={LONGEST_INPUT}",
        f"-artifact_prefix={corpus}/",
        "-timeout=10",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
