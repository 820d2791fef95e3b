"""``pyconsul agent``: from the command line to an exit code.

1. Flags and configuration; an error is one message on stderr, exit 1. 2. Banner, then the log, on stdout. 3. Start; an
error is a log line, exit 1. 4. Until a signal, a leave over HTTP, or a disk that failed (reference/cli.md, "agent").
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pyconsul.agent.banner import banner
from pyconsul.agent.config import load
from pyconsul.agent.config_checks import check_start
from pyconsul.agent.config_reload import changes
from pyconsul.agent.logging import AgentLog
from pyconsul.agent.node_id import FILE_NAME, setup_node_id
from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.codec.go_flags import FlagError
from pyconsul.errors import ConfigError, LockedError, PyconsulError
from pyconsul.log import pairs
from pyconsul.process.agent import Agent
from pyconsul.process.client_agent import ClientAgent
from pyconsul.process.joining import JoinError, check_retry_addresses
from pyconsul.process.member_agent import MemberAgent
from pyconsul.storage.text_file import TextFile

LEAVE_SECONDS_MAX = 15.0
DEV_PREFIX = "pyconsul-dev-"
START_HINTS = {
    "address already in use": "another process listens there: stop it, or choose another address or port",
    "cannot assign requested address": "this host has no such address: give one of its own (-bind, -client)",
    "permission denied": "ports below 1024 and other users' files need rights: choose others, or run as their owner",
}
"""What to do about errors whose texts are the system's."""

SIGNAL_NAMES: dict[int, str] = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminated", signal.SIGHUP: "hangup"}


def run(argv: Sequence[str]) -> int:
    """Runs an agent until its end; the exit code. Raises FlagError for a bad command line."""
    try:
        config = _configuration(argv)
        data_dir = _data_dir(config)
    except FlagError:
        raise
    except PyconsulError as error:
        sys.stderr.write(f"==> {error}\n")
        return 1
    try:
        return _run(argv, config, data_dir)
    finally:
        if config.dev:
            shutil.rmtree(data_dir, ignore_errors=True)


def _run(argv: Sequence[str], config: RuntimeConfig, data_dir: Path) -> int:
    try:
        store = None if config.dev and not config.data_dir else TextFile(Path(config.data_dir) / FILE_NAME)
        node_id = setup_node_id(config.node_id, config.data_dir, store, from_host=not config.disable_host_node_id)
        logs = AgentLog(config.log)
    except PyconsulError as error:
        sys.stderr.write(f"==> {error}\n")
        return 1
    if not config.log.json:
        sys.stdout.write(banner(config, node_id))
        sys.stdout.flush()
    logs.start()
    process = _Process(argv, config, node_id, data_dir, logs)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(process.run())
    finally:
        process.remove_pid_file()
        logs.stop()


def _configuration(argv: Sequence[str]) -> RuntimeConfig:
    config = load(argv)
    check_retry_addresses([*config.join.retry, *config.join.retry_wan])
    return config


def _data_dir(config: RuntimeConfig) -> Path:
    """Where the agent keeps its state. ``-dev`` leaves nothing behind (decisions/0006)."""
    if config.dev:
        return Path(tempfile.mkdtemp(prefix=DEV_PREFIX))
    return Path(config.data_dir)


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.Loop


class _Process:
    """One agent with its signals."""

    def __init__(
        self, argv: Sequence[str], config: RuntimeConfig, node_id: str, data_dir: Path, logs: AgentLog
    ) -> None:
        self._argv = argv
        self._config = config
        self._node_id = node_id
        self._data_dir = data_dir
        self._logs = logs
        self._logger = logging.getLogger("agent")
        self._pid_file: Path | None = None
        self._signals: asyncio.Queue[int] = asyncio.Queue()
        self._agent: MemberAgent | None = None

    async def run(self) -> int:
        logger = self._logger
        for warning in self._config.warnings:
            logger.warning(warning)
        if self._config.without_effect:
            keys = ", ".join(self._config.without_effect)
            logger.warning("Configuration keys without effect in this version", extra=pairs(keys=keys))
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unexpected)
        for number in SIGNAL_NAMES:
            loop.add_signal_handler(number, self._signals.put_nowait, number)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        kind: type[Agent | ClientAgent] = Agent if self._config.server else ClientAgent
        agent = kind(self._config, self._node_id, self._data_dir, logger, self._reread)
        agent.on_reload = self._reloaded
        agent.logs = self._logs
        self._agent = agent
        try:
            check_start(self._config)
            self._write_pid_file()
            started = await self._interruptible(agent.start())
        except PyconsulError as error:
            self._start_failed(error)
            await agent.stop()
            logger.info("Exit code", extra=pairs(code=1))
            return 1
        if started and self._config.ports.dns > 0:
            logger.info("DNS is not served by this version", extra=pairs(port=self._config.ports.dns))
        code = await self._until_end(agent) if started else 1
        logger.info("Requesting shutdown")
        await agent.stop()
        logger.info("shutdown complete")
        logger.info("Exit code", extra=pairs(code=code))
        return code

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """A callback raised: our mistake, told like any error and with its place, never as bare text on stderr."""
        error = context.get("exception")
        self._logger.error(
            "unexpected error, please report it",
            extra=pairs(what=context.get("message")),
            exc_info=error if isinstance(error, BaseException) else None,
        )

    def _start_failed(self, error: PyconsulError) -> None:
        text = str(error)
        if isinstance(error, JoinError):
            self._logger.error(text)
            return
        if isinstance(error, LockedError):
            text = f"Failed to start Consul server: {text}"
        hint = next((advice for part, advice in START_HINTS.items() if part in text), None)
        told = pairs(error=text) if hint is None else pairs(error=text, hint=hint)
        self._logger.error("Error starting agent", extra=told)

    async def _interruptible(self, starting: object) -> bool:
        """Starts; False when a signal came before it was done. Raises what the start raises."""
        task = asyncio.ensure_future(starting)  # type: ignore[call-overload]
        signalled = asyncio.ensure_future(self._signals.get())
        try:
            while not task.done():
                await asyncio.wait({task, signalled}, return_when=asyncio.FIRST_COMPLETED)
                if signalled.done():
                    if signalled.result() != signal.SIGHUP:
                        self._caught(signalled.result())
                        task.cancel()
                        await asyncio.wait({task})
                        return False
                    self._logger.warning("Ignoring signal, the agent is still starting", extra=pairs(signal="hangup"))
                    signalled = asyncio.ensure_future(self._signals.get())
            task.result()
            return True
        finally:
            signalled.cancel()

    async def _until_end(self, agent: MemberAgent) -> int:
        ended = asyncio.ensure_future(agent.ended.wait())
        try:
            while True:
                signalled = asyncio.ensure_future(self._signals.get())
                await asyncio.wait({ended, signalled}, return_when=asyncio.FIRST_COMPLETED)
                if not signalled.done():
                    signalled.cancel()
                    return agent.exit_code
                number = signalled.result()
                self._caught(number)
                if number == signal.SIGHUP:
                    await self._reload(agent)
                    continue
                return await self._end_by_signal(agent, number)
        finally:
            ended.cancel()

    async def _end_by_signal(self, agent: MemberAgent, number: int) -> int:
        config = agent.config
        leave = config.leave_on_terminate if number == signal.SIGTERM else not config.skip_leave_on_interrupt
        if not leave:
            self._logger.info("Graceful shutdown disabled. Exiting")
            return 1
        self._logger.info("Gracefully shutting down agent...")
        leaving = asyncio.ensure_future(agent.leave())
        again = asyncio.ensure_future(self._signals.get())
        done, _ = await asyncio.wait({leaving, again}, timeout=LEAVE_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if leaving in done:
            leaving.result()
            self._logger.info("Graceful exit completed")
            return 0
        leaving.cancel()
        if again in done:
            self._logger.info("Caught second signal, Exiting", extra=pairs(signal=SIGNAL_NAMES[again.result()]))
        else:
            self._logger.info("Timeout on graceful leave. Exiting")
        return 1

    def _caught(self, number: int) -> None:
        self._logger.info("Caught", extra=pairs(signal=SIGNAL_NAMES[number]))

    async def _reload(self, agent: MemberAgent) -> None:
        try:
            await agent.reload()
        except ConfigError as error:
            self._logger.error("Reload config failed", extra=pairs(error=error))

    def _reread(self) -> RuntimeConfig:
        found = changes(self._config, _configuration(self._argv))
        for name in found.restart:
            self._logger.warning("a changed setting takes effect at the next start", extra=pairs(setting=name))
        self._config = found.config
        return found.config

    def _reloaded(self, config: RuntimeConfig) -> None:
        if not self._logs.set_level(config.log.level):
            self._logger.warning("Invalid log level, the old one stays", extra=pairs(level=config.log.level))

    def _write_pid_file(self) -> None:
        if not self._config.pid_file:
            return
        path = Path(self._config.pid_file)
        try:
            path.write_text(str(os.getpid()), encoding="ascii")
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ConfigError(f"Could not open pid file: open {path}: {why}") from error
        self._pid_file = path

    def remove_pid_file(self) -> None:
        if self._pid_file is not None:
            self._pid_file.unlink(missing_ok=True)
