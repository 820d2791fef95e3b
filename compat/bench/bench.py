#!/usr/bin/env python3
"""Measures pyconsul beside etcd (and Consul, with ``--peer consul=PATH``) in turn, ABAB, and prints the table.

    python compat/bench/bench.py [--rounds 3] [--groups one,three] [--out DIR]

Needs ``wrk``, and ``etcd`` for the comparison with it. ``--out`` also writes table.md,
chart.svg and results.json there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import report
from peers import PeerMaker, peer_makers
from rows import GROUPS, Settings, folder_of


def measure(
    groups: list[str], makers: dict[str, PeerMaker], rounds: int, settings: Settings, root: Path
) -> report.Results:
    """Every group by every peer in turn, so that what disturbs the machine disturbs all of them."""
    results: report.Results = {}
    for group in groups:
        for round_ in range(rounds):
            for name, make in makers.items():
                print(f"{group}: round {round_ + 1} of {rounds}, {name}", file=sys.stderr, flush=True)
                folder = folder_of(root, group, name, round_)
                for row, value in GROUPS[group](make(folder), settings).items():
                    results.setdefault(name, {}).setdefault(row, []).append(value)
                shutil.rmtree(folder, ignore_errors=True)
    return results


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", default=",".join(GROUPS), help="of " + ", ".join(GROUPS))
    parser.add_argument("--peers", default="pyconsul,etcd")
    parser.add_argument("--peer", action="append", default=[], metavar="consul=PATH")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--add", type=Path, metavar="FILE", help="results.json of an earlier run, to be shown as well")
    parser.add_argument("--folder", type=Path, help="where the servers keep their data (default: a temporary folder)")
    arguments = parser.parse_args(argv)
    wanted = [*arguments.peers.split(","), *(text.partition("=")[0] for text in arguments.peer)]
    makers = {name: make for name, make in peer_makers(arguments.peer).items() if name in wanted}
    for program in ["wrk", *(["etcd"] if "etcd" in makers else [])]:
        if shutil.which(program) is None:
            print(f"{program} is not installed (Debian: wrk, etcd-server)", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
        settings = Settings(arguments.tiny)
        results = measure(arguments.groups.split(","), makers, arguments.rounds, settings, Path(root))
    if arguments.add:
        for name, rows in json.loads(arguments.add.read_text(encoding="utf-8")).items():
            results[name] = rows | results.get(name, {})
    how = f"medians of {report.rounds(results)} rounds, load from the same machine"
    text = f"{report.machine()}; {how}\n\n{report.table(results)}"
    print(text)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "table.md").write_text(text + "\n", encoding="utf-8")
        (arguments.out / "chart.svg").write_text(report.chart(results), encoding="utf-8")
        (arguments.out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
