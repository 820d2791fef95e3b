"""``pyconsul monitor``."""

from __future__ import annotations

import signal

from pyconsul.client.errors import RequestError
from pyconsul.codec.go_flags import BOOL, STRING, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERR")
ENDED = "\nRemote side ended the monitor! This usually means that the\nremote side has exited or crashed."


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(context: Context) -> int:
    as_json = context.flags.boolean("log-json")
    query = [("loglevel", context.flags.string("log-level"))]
    if as_json:
        query.append(("logjson", "true"))
    client = context.client()
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    started = False
    try:
        with failing("Error starting JSON monitor" if as_json else "Error starting monitor"):
            for piece in client.stream("GET", "/v1/agent/monitor", query):
                started = True
                context.io.stdout.write(piece)
                context.io.stdout.flush()
    except KeyboardInterrupt:
        return 0
    except CommandError as error:
        if not started or not isinstance(error.__cause__, RequestError):
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    context.out(ENDED)
    return 1


COMMANDS = {
    "monitor": Command(
        "monitor",
        run,
        sets="C",
        flags=(
            Flag(
                "log-level", STRING, "Show lines of this level and above.", "INFO", value_name="level", choices=LEVELS
            ),
            Flag("log-json", BOOL, "Show lines as JSON."),
        ),
        about="Shows the agent's log from now on, whatever level the agent itself writes. Ctrl-C ends it.",
        examples=("monitor -log-level=DEBUG",),
    )
}
