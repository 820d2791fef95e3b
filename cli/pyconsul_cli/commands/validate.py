"""``pyconsul validate``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, STRING, Flag
from pyconsul.errors import ConfigError
from pyconsul_cli.command import Command, CommandError, Context

FORMATS = ("hcl", "json")


def run(context: Context) -> int:
    config_format, quiet = context.flags.string("config-format"), context.flags.boolean("quiet")
    if not context.args:
        raise CommandError("Must specify at least one config file or directory")
    if config_format not in ("", *FORMATS):
        # The quote that is missing is missing in Consul's text too.
        raise CommandError("-config-format must be either 'hcl' or 'json")
    from pyconsul.agent.config import validate_files

    try:
        config = validate_files(context.args, config_format)
    except ConfigError as error:
        raise CommandError(f"Config validation failed: {error}") from error
    if not quiet:
        for warning in config.warnings:
            context.err(warning)
        context.out("Configuration is valid!")
    return 0


COMMANDS = {
    "validate": Command(
        "validate",
        run,
        usage="FILE or DIRECTORY ...",
        flags=(
            Flag("config-format", STRING, "Read all files so.", value_name="format", choices=FORMATS),
            Flag("quiet", BOOL, "Print errors only."),
        ),
        repeat="{}",
        about="Reads configuration as an agent would, and says what is wrong with it.",
        examples=("validate /etc/pyconsul.d",),
    )
}
