"""Locks and semaphores on sessions, by the recipes that Consul's own client uses, so that both exclude each other.

A lock is a key that a session has acquired; a semaphore is a key with the list of its holders, changed by compare and
set, and one contender key per session beside it. Both mark their keys by flags, so that one kind refuses the other's.
Blocking: every method waits in the calling thread. A second thread renews the session, a third one watches the key.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any

from pyconsul.client.client import Answer, Client
from pyconsul.client.errors import AnswerError, ClientError, RequestError, StatusError

LOCK_FLAGS = 0x2DDCCBC058A50C18
SEMAPHORE_FLAGS = 0xE0F69A2BAA414DE0
"""Consul's marks, in the flags of the keys."""

SESSION_TTL_S = 15
WAIT_S = 15
"""How long one blocking query may take."""
LOCK_DELAY_RETRY_S = 5.0
HELPER_END_S = 2.0
PAUSE_SLICE_S = 0.1
RENEWAL_TIMEOUT_S = 5.0
"""An agent that is silent for so long is asked again."""
RETRY_S = 1.0
"""Pause after an error of an agent or of the network."""

MakeClient = Callable[[], Client]
Query = Sequence[tuple[str, str]]


class ConflictError(ClientError):
    """The key is used for something else."""


class InUseError(ClientError):
    """Somebody else uses the lock: it is not cleaned up."""


class Holder:
    """A session that renews itself, and what both kinds of lock do with it.

    ``make_client``: clients are not shared between threads. ``retries``: errors in a row that the watch over the held
    lock bears. ``on_lost`` is called once from another thread when the lock is lost.
    """

    kind = "lock"

    def __init__(self, make_client: MakeClient, key: str, session_name: str, retries: int) -> None:
        self._make_client = make_client
        self._client = make_client()
        self.key = key
        self._session_name = session_name
        self._retries = retries
        self.session = ""
        self._ended = threading.Event()
        self._interrupted = False
        self._helpers: list[tuple[threading.Thread, Client]] = []
        self._renewed_at = 0.0
        self._on_lost: Callable[[], None] | None = None
        self._telling = threading.Lock()

    def acquire(self, timeout_s: float | None) -> bool:
        """False when the time is up or ``interrupt`` was called. Raises ClientError."""
        self._renewed_at = time.monotonic()
        try:
            body = json.dumps({"Name": self._session_name, "TTL": f"{SESSION_TTL_S}s"}).encode()
            self.session = str(self._client.put("/v1/session/create", (), body).json_object().get("ID", ""))
        except ClientError as error:
            if self._interrupted:
                return False
            raise ClientError(f"failed to create session: {error}") from error
        self._help(self._renew)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            acquired = self._try_until(deadline)
        except ClientError:
            if not self._interrupted:
                raise
            acquired = False
        if not acquired:
            self.end_session()
        return acquired

    def interrupt(self) -> None:
        """Ends ``acquire`` early; may be called by a signal handler."""
        self._interrupted = True
        self._client.abort()

    def _pause(self, seconds: float) -> None:
        """In slices: an event would not be safe to set from a signal handler."""
        end = time.monotonic() + seconds
        while not self._interrupted and (left_s := end - time.monotonic()) > 0:
            time.sleep(min(left_s, PAUSE_SLICE_S))

    def watch(self, on_lost: Callable[[], None]) -> None:
        """Begins to watch the held lock."""
        self._on_lost = on_lost
        self._help(self._watch)

    def _lost(self) -> None:
        """Tells it once."""
        with self._telling:
            on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost()

    def end_session(self) -> None:
        """Ends the helpers and the session, which releases whatever it still holds. Errors are of no use here: the
        session ends by its TTL then."""
        self._ended.set()
        for thread, client in self._helpers:
            client.abort()
            thread.join(HELPER_END_S)
            client.close()
        self._helpers.clear()
        # The connection may be in the middle of an answer when a wait was cut short.
        self._client.close()
        self._client = self._make_client()
        if self.session:
            try:
                self._client.put(f"/v1/session/destroy/{self.session}")
            except ClientError:
                return
            finally:
                self.session = ""
                self._client.close()

    def release(self) -> None:
        """Gives the lock back and ends the session. Raises ClientError."""
        raise NotImplementedError

    def clean_up(self) -> None:
        """Removes the key if nobody uses it. Raises InUseError, ClientError."""
        try:
            self._remove()
        finally:
            self._client.close()

    def _remove(self) -> None:
        raise NotImplementedError

    def _try_until(self, deadline: float | None) -> bool:
        raise NotImplementedError

    def _still_held(self, answer: Answer) -> bool:
        raise NotImplementedError

    def _watched(self) -> tuple[str, Query]:
        raise NotImplementedError

    def _help(self, work: Callable[[Client], None]) -> None:
        client = self._make_client()
        thread = threading.Thread(target=work, args=(client,), daemon=True)
        self._helpers.append((thread, client))
        thread.start()

    def _renew(self, client: Client) -> None:
        """An agent that does not answer may be cut off from servers that end the session: then the lock counts as lost
        once the session has not been renewed for its TTL, before the lock delay gives it to somebody else."""
        client.timeout_s = RENEWAL_TIMEOUT_S
        pause_s = SESSION_TTL_S / 2
        while not self._ended.wait(pause_s):
            began = time.monotonic()
            try:
                client.put(f"/v1/session/renew/{self.session}")
                self._renewed_at = began
                pause_s = SESSION_TTL_S / 2
            except StatusError as error:
                if error.code == 404:
                    return  # expired: the watch over the key tells
                pause_s = RETRY_S
            except ClientError:
                pause_s = RETRY_S
            if time.monotonic() - self._renewed_at >= SESSION_TTL_S and not self._ended.is_set():
                self._lost()

    def _watch(self, client: Client) -> None:
        path, query = self._watched()
        index = 0
        left = self._retries
        while not self._ended.is_set():
            try:
                wait = [("index", str(index)), ("wait", f"{WAIT_S}s")] if index else []
                answer = client.request("GET", path, [*query, *wait])
                if answer.status not in (200, 404):
                    raise StatusError(answer.status, answer.body)
                if not self._still_held(answer):
                    break
                index, left = answer.index, self._retries
            except ClientError as error:
                temporary = isinstance(error, RequestError) or (isinstance(error, StatusError) and error.code >= 500)
                if not temporary or left <= 0:
                    break
                left -= 1
                self._ended.wait(RETRY_S)
        if not self._ended.is_set():
            self._lost()

    def _blocking_get(self, path: str, query: Query, index: int, deadline: float | None) -> Answer | None:
        """None when the time is up; without ``index`` it answers at once."""
        left_s: float = WAIT_S
        if deadline is not None:
            left_s = min(left_s, deadline - time.monotonic())
            if left_s <= 0 and index:
                return None
        wait = [("index", str(index)), ("wait", f"{max(1, int(left_s * 1000))}ms")] if index else []
        answer = self._client.request("GET", path, [*query, *wait])
        if answer.status not in (200, 404):
            raise StatusError(answer.status, answer.body)
        return answer


def _pairs(answer: Answer) -> list[dict[str, Any]]:
    return [] if answer.status == 404 else answer.json_objects()


class Lock(Holder):
    """One holder at a time."""

    def _try_until(self, deadline: float | None) -> bool:
        path = f"/v1/kv/{self.key}"
        index = 0
        first = True
        while first or deadline is None or time.monotonic() < deadline:
            first = False
            answer = self._blocking_get(path, [("consistent", "")], index, deadline)
            if answer is None:
                return False
            pairs = _pairs(answer)
            if pairs and pairs[0].get("Flags") != LOCK_FLAGS:
                raise ConflictError("Existing key does not match lock use")
            holder = pairs[0].get("Session") if pairs else None
            if holder == self.session:
                return True
            if holder:
                index = answer.index
                continue
            query = [("acquire", self.session), ("flags", str(LOCK_FLAGS))]
            if self._client.put(path, query, b"").body.strip() == b"true":
                return True
            answer = self._blocking_get(path, [("consistent", "")], 0, deadline)
            pairs = _pairs(answer) if answer is not None else []
            if answer is not None and pairs and pairs[0].get("Session"):
                index = answer.index
                continue
            # Nobody holds it and it is refused: the lock delay of an earlier holder.
            index = 0
            pause_s = LOCK_DELAY_RETRY_S
            if deadline is not None:
                pause_s = min(pause_s, max(0.0, deadline - time.monotonic()))
            self._pause(pause_s)
        return False

    def _watched(self) -> tuple[str, Query]:
        return f"/v1/kv/{self.key}", [("consistent", "")]

    def _still_held(self, answer: Answer) -> bool:
        pairs = _pairs(answer)
        return bool(pairs) and pairs[0].get("Session") == self.session

    def release(self) -> None:
        self._ended.set()
        self._client.close()
        self._client = self._make_client()
        self._client.put(f"/v1/kv/{self.key}", [("release", self.session), ("flags", str(LOCK_FLAGS))], b"")
        self.end_session()

    def _remove(self) -> None:
        answer = self._blocking_get(f"/v1/kv/{self.key}", [("consistent", "")], 0, None)
        pairs = _pairs(answer) if answer is not None else []
        if not pairs:
            return
        if pairs[0].get("Flags") != LOCK_FLAGS:
            raise ConflictError("Existing key does not match lock use")
        if pairs[0].get("Session"):
            raise InUseError("Lock in use")
        self._delete(pairs[0])

    def _delete(self, pair: dict[str, Any]) -> None:
        query = [("cas", str(pair.get("ModifyIndex", 0)))]
        if self._client.delete(f"/v1/kv/{self.key}", query).body.strip() != b"true":
            raise InUseError("Lock in use")


class Semaphore(Lock):
    """Up to ``limit`` holders. ``key`` is ``PREFIX/.lock``."""

    kind = "semaphore"

    def __init__(
        self, make_client: MakeClient, prefix: str, key: str, session_name: str, retries: int, limit: int
    ) -> None:
        super().__init__(make_client, key, session_name, retries)
        self._prefix = prefix
        self._limit = limit

    @property
    def _contender(self) -> str:
        return f"/v1/kv/{self._prefix}/{self.session}"

    def _try_until(self, deadline: float | None) -> bool:
        query = [("acquire", self.session), ("flags", str(SEMAPHORE_FLAGS))]
        if self._client.put(self._contender, query, b"").body.strip() != b"true":
            raise ClientError("failed to make contender entry: not acquired")
        index = 0
        first = True
        while first or deadline is None or time.monotonic() < deadline:
            first = False
            answer = self._blocking_get(*self._watched(), index, deadline)
            if answer is None:
                return False
            pair, holders = self._read(answer)
            if len(holders) >= self._limit:
                index = answer.index
                continue
            if self._write(pair, {*holders, self.session}):
                return True
            index = 0
        return False

    def _watched(self) -> tuple[str, Query]:
        return f"/v1/kv/{self._prefix}/", [("recurse", ""), ("consistent", "")]

    def _still_held(self, answer: Answer) -> bool:
        return self.session in self._read(answer)[1]

    def _read(self, answer: Answer) -> tuple[dict[str, Any] | None, set[str]]:
        """The pair of the semaphore and its holders that are alive. Raises ConflictError, AnswerError."""
        pairs = _pairs(answer)
        pair = next((found for found in pairs if found.get("Key") == self.key), None)
        if pair is None:
            return None, set()
        if pair.get("Flags") != SEMAPHORE_FLAGS:
            raise ConflictError("Existing key does not match semaphore use")
        try:
            content = json.loads(b64decode(pair.get("Value") or ""))
            limit, named = int(content["Limit"]), set(content["Holders"] or {})
        except (ValueError, KeyError, TypeError) as error:
            raise AnswerError(f"the key {self.key} does not hold a semaphore") from error
        if limit != self._limit:
            raise ConflictError(f"semaphore limit conflict (lock: {limit}, local: {self._limit})")
        alive = {found.get("Session") for found in pairs if found.get("Session")}
        return pair, named & alive

    def _write(self, pair: dict[str, Any] | None, holders: set[str]) -> bool:
        content = {"Limit": self._limit, "Holders": dict.fromkeys(sorted(holders), True)}
        index = pair.get("ModifyIndex", 0) if pair is not None else 0
        query = [("cas", str(index)), ("flags", str(SEMAPHORE_FLAGS))]
        written = self._client.put(f"/v1/kv/{self.key}", query, json.dumps(content).encode())
        return written.body.strip() == b"true"

    def release(self) -> None:
        self._ended.set()
        self._client.close()
        self._client = self._make_client()
        while True:
            answer = self._blocking_get(*self._watched(), 0, None)
            pair, holders = self._read(answer) if answer is not None else (None, set())
            if self.session not in holders or self._write(pair, holders - {self.session}):
                break
        self._client.delete(self._contender)
        self.end_session()

    def _remove(self) -> None:
        answer = self._blocking_get(*self._watched(), 0, None)
        pair, holders = self._read(answer) if answer is not None else (None, set())
        if pair is None:
            return
        if holders:
            raise InUseError("Semaphore in use")
        self._delete(pair)
