"""Joining other agents: once for the commands and ``-join``, again and again for ``-retry-join``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from pyconsul.errors import ConfigError
from pyconsul.log import pairs

Join = Callable[[Sequence[str]], Awaitable[tuple[int, list[str]]]]
"""Joins addresses; returns how many worked and the texts of the failures."""


class JoinError(ConfigError):
    """None of the addresses that an agent was to join at its start could be reached."""


def join_error_text(errors: Sequence[str]) -> str:
    """Consul's list of errors, line feeds at the end included."""
    count = len(errors)
    head = f"{count} error{'' if count == 1 else 's'} occurred:"
    return head + "".join(f"\n\t* {error}" for error in errors) + "\n\n"


def check_retry_addresses(addresses: Sequence[str]) -> None:
    """Cloud discovery (``provider=…``) is not served. Raises ConfigError naming the address."""
    for address in addresses:
        if "provider=" in address:
            raise ConfigError(
                f"-retry-join: {address!r} asks for cloud auto-joining, which is not served; give addresses"
            )


class RetryJoin:
    """Tries until one address works. ``retry_max``: ``on_exhausted`` is called after that many more tries; 0: never."""

    def __init__(
        self,
        join: Join,
        addresses: Sequence[str],
        interval_seconds: float,
        retry_max: int,
        logger: logging.Logger,
        on_exhausted: Callable[[], None],
        pool: str = "LAN",
    ) -> None:
        self._join = join
        self._addresses = addresses
        self._interval_seconds = interval_seconds
        self._retry_max = retry_max
        self._logger = logger
        self._on_exhausted = on_exhausted
        self._pool = pool

    async def run(self) -> None:
        attempt = 0
        logger = self._logger
        logger.info("Joining cluster...", extra=pairs(cluster=self._pool))
        while True:
            joined, errors = await self._join(self._addresses)
            if joined:
                logger.info(f"({self._pool}) joined", extra=pairs(number_of_nodes=joined))
                logger.info(
                    "Join cluster completed. Synced with initial agents",
                    extra=pairs(cluster=self._pool, num_agents=joined),
                )
                return
            attempt += 1
            if self._retry_max and attempt > self._retry_max:
                self._on_exhausted()
                return
            # In the first seconds other hosts are often just starting too: Consul's pause of 30 s would be felt.
            pause = min(self._interval_seconds, float(attempt))
            logger.warning(
                "Join cluster failed, will retry",
                extra=pairs(cluster=self._pool, retry_interval=f"{pause:g}s", error=join_error_text(errors).strip()),
            )
            await asyncio.sleep(pause)
