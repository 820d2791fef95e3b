"""A store in one process that is good enough for dockerd, and that can be broken on purpose in one way at a time.

It exists to test the replay itself: with no defect every trace must hold, with each defect the replay must complain.
Written from the recorded conversations alone, and sharing no code with pyconsul, so that both can be wrong only apart.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

DEFECTS = (
    "answers with the store's index for one key",
    "no index header",
    "LockDelay as text",
    "renewal unknown",
    "plain put drops the session",
    "lists reversed",
    "lists without the folder key",
    "lists with neighbours",
    "flags as floating point",
    "check-and-set always true",
    "check-and-set always false",
    "deletes nothing with its session",
    "watches do not wait",
    "same value is a change",
    "delete does not wake",
    "values lose their last byte",
    "closes connections",
    "404 as an empty object",
    "index falls behind",
)


@dataclass
class Entry:
    flags: int
    value: bytes
    create: int
    modify: int
    session: str = ""
    lock: int = 0


class FakeStore:
    """Serves on ``port`` of 127.0.0.1 after ``start``. ``defect``: one of DEFECTS, or empty."""

    def __init__(self, defect: str = "") -> None:
        assert defect in ("", *DEFECTS)
        self.defect = defect
        self.index = 10
        self.entries: dict[str, Entry] = {}
        self.deleted: dict[str, int] = {}
        self.sessions: dict[str, int] = {}
        self.nodes: dict[str, str] = {}
        self.changed = asyncio.Condition()
        self.port = 0
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> list[str]:
        """Three doors to the one store; returns their URLs. Each door names another node."""
        urls = []
        for number in (1, 2, 3):
            server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
            self.nodes[str(port)] = f"docker{number}"
            urls.append(f"http://127.0.0.1:{port}")
        return urls

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = head[0].split(" ")
                port = str(writer.get_extra_info("sockname")[1])
                status, answer, index = await self._answer(method, target, body, self.nodes[port])
                writer.write(self._encode(status, answer, index))
                if self.defect == "closes connections":
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    def _encode(self, status: int, answer: bytes, index: int) -> bytes:
        lines = [f"HTTP/1.1 {status} X", "Vary: Accept-Encoding"]
        if index and self.defect != "no index header":
            lines += [f"X-Consul-Index: {index}", "X-Consul-KnownLeader: true", "X-Consul-LastContact: 0"]
        if answer:
            lines.append("Content-Type: application/json")
        if len(answer) >= 1400:
            answer = gzip.compress(answer)
            lines.append("Content-Encoding: gzip")
        if self.defect == "closes connections":
            lines.append("Connection: close")
        return "\r\n".join([*lines, f"Content-Length: {len(answer)}", "", ""]).encode() + answer

    async def _answer(self, method: str, target: str, body: bytes, node: str) -> tuple[int, bytes, int]:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.path == "/v1/session/create":
            return 200, json.dumps({"ID": self._create_session()}).encode(), 0
        if parts.path.startswith("/v1/session/"):
            verb, session = parts.path.split("/")[3:5]
            return await self._end(session) if verb == "destroy" else self._renew(session, node)
        key = parts.path.removeprefix("/v1/kv/")
        if method == "GET":
            return await self._read(key, query)
        done = self._put(key, query, body) if method == "PUT" else self._delete(key, int(query["cas"]))
        async with self.changed:
            self.changed.notify_all()
        return 200, b"true" if done else b"false", 0

    def _create_session(self) -> str:
        self.index += 1
        session = str(uuid.uuid4())
        self.sessions[session] = self.index
        return session

    def _renew(self, session: str, node: str) -> tuple[int, bytes, int]:
        if session not in self.sessions or self.defect == "renewal unknown":
            return 404, b"", 0
        index = self.sessions[session]
        delay: object = "1ms" if self.defect == "LockDelay as text" else 1000000
        fields = {"ID": session, "Name": "", "Node": node, "LockDelay": delay, "Behavior": "delete", "TTL": "30s"}
        fields |= {"NodeChecks": ["serfHealth"], "ServiceChecks": None, "CreateIndex": index, "ModifyIndex": index}
        return 200, json.dumps([fields]).encode(), 0

    async def _end(self, session: str) -> tuple[int, bytes, int]:
        del self.sessions[session]
        for key in [key for key, entry in self.entries.items() if entry.session == session]:
            if self.defect != "deletes nothing with its session":
                self._delete(key, self.entries[key].modify)
        async with self.changed:
            self.changed.notify_all()
        return 200, b"true", 0

    def _put(self, key: str, query: dict[str, str], body: bytes) -> bool:
        old = self.entries.get(key)
        if "cas" in query and not self._may_write(old, int(query["cas"])):
            return False
        session = old.session if old else ""
        lock = 0
        if "acquire" in query:
            if session not in ("", query["acquire"]) or query["acquire"] not in self.sessions:
                return False
            session, lock = query["acquire"], 1
        elif self.defect == "plain put drops the session":
            session = ""
        flags = int(query.get("flags", "0"))
        if self.defect == "values lose their last byte":
            body = body[:-1]
        same = old and (old.flags, old.value, old.session, old.lock) == (flags, body, session, lock)
        if same and self.defect != "same value is a change":
            return True
        self.index += 1
        self.entries[key] = Entry(flags, body, old.create if old else self.index, self.index, session, lock)
        return True

    def _may_write(self, old: Entry | None, cas: int) -> bool:
        if self.defect in ("check-and-set always true", "check-and-set always false"):
            return self.defect == "check-and-set always true"
        return (old.modify if old else 0) == cas

    def _delete(self, key: str, cas: int) -> bool:
        old = self.entries.get(key)
        if old is None:
            return True
        if not self._may_write(old, cas):
            return False
        self.index += 1
        del self.entries[key]
        self.deleted[key] = self.index if self.defect != "delete does not wake" else old.modify
        return True

    async def _read(self, key: str, query: dict[str, str]) -> tuple[int, bytes, int]:
        wanted = int(query.get("index", "0"))
        seconds = float(query.get("wait", "300000ms").removesuffix("ms")) / 1000
        if wanted and self.defect != "watches do not wait":
            async with self.changed:
                try:
                    async with asyncio.timeout(seconds):
                        await self.changed.wait_for(lambda: self._look(key, "recurse" in query)[1] > wanted)
                except TimeoutError:
                    pass  # the wait is over: the answer is what there is now
        found, index = self._look(key, "recurse" in query or "keys" in query)
        if "keys" in query:
            return 200, json.dumps(found).encode(), index
        if not found:
            return (200, b"{}", index) if self.defect == "404 as an empty object" else (404, b"", index)
        return 200, json.dumps([self._shown(name, self.entries[name]) for name in found]).encode(), index

    def _look(self, key: str, recurse: bool) -> tuple[list[str], int]:
        if not recurse:
            entry = self.entries.get(key)
            if entry is None:
                return [], self.deleted.get(key, 1)
            return [key], self.index if self.defect == "answers with the store's index for one key" else entry.modify
        prefix = key.rstrip("/") if self.defect == "lists with neighbours" else key
        found = sorted(name for name in self.entries if name.startswith(prefix))
        indexes = [self.entries[name].modify for name in found]
        indexes += [index for name, index in self.deleted.items() if name.startswith(prefix)]
        if self.defect == "lists reversed":
            found.reverse()
        if self.defect == "lists without the folder key" and key in found:
            found.remove(key)
        index = max(indexes, default=1)
        return found, min(indexes, default=1) if self.defect == "index falls behind" else index

    def _shown(self, key: str, entry: Entry) -> dict[str, object]:
        flags: object = float(entry.flags) if self.defect == "flags as floating point" else entry.flags
        value = base64.b64encode(entry.value).decode() or None
        shown: dict[str, object] = {"LockIndex": entry.lock, "Key": key, "Flags": flags, "Value": value}
        if entry.session:
            shown["Session"] = entry.session
        return shown | {"CreateIndex": entry.create, "ModifyIndex": entry.modify}
