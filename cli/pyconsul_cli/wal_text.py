"""The replicated log of a data directory as text: one line per file, per problem and, when wanted, per record."""

from __future__ import annotations

from pyconsul.errors import StorageError
from pyconsul.storage.inspect import ProblemFound, RecordFound, SegmentFound, SnapshotFound, inspect
from pyconsul_cli.command import CommandError, Context


def print_log(context: Context, folder: str) -> int:
    """Exit code 1 when something is damaged. Raises CommandError when the directory cannot be read."""
    with_records = context.flags.boolean("records")
    counts: dict[str, int] = {}
    problems = 0
    last_index = 0
    try:
        for found in inspect(folder):
            if isinstance(found, SegmentFound):
                header = found.header
                context.out(f"segment {found.path.name}: from index {header.first_index}, {found.bytes} bytes")
            elif isinstance(found, RecordFound):
                counts[found.kind] = counts.get(found.kind, 0) + 1
                if found.kind == "entry":
                    last_index = found.index
                if with_records:
                    note = f" {found.note}" if found.note else ""
                    where = f"  {found.offset:>10}  {found.kind:<10}"
                    context.out(f"{where} term {found.term} index {found.index} {found.bytes} bytes{note}")
            elif isinstance(found, SnapshotFound):
                meta = found.info.meta
                size = found.info.size
                context.out(f"snapshot {found.path.name}: index {meta.index}, term {meta.term}, {size} bytes, good")
            else:
                problems += _show_problem(context, found)
    except StorageError as error:
        raise CommandError(f"Error reading {folder}: {error}") from error
    total = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "no records"
    context.out(f"total: {total}; last index {last_index}; {problems} damaged")
    return 1 if problems else 0


def _show_problem(context: Context, found: ProblemFound) -> int:
    kind = "unfinished" if found.torn else "damaged"
    context.out(f"{kind}: {found.path} at byte {found.offset}: {found.text}")
    return 0 if found.torn else 1
