"""Three agents on three hosts (network namespaces), clients at all of them, and somebody who breaks things meanwhile.

What the clients saw is saved as history.jsonl, then judged (tests/check): each key's history has an explanation, no
acknowledged write is missing at the end, no lock was held twice. NEMESIS_SECONDS=600 is the long version.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import history
import pytest
from netns import ADDRESSES, in_namespace, reason_against, three_hosts

from pyconsul.testing.processes import PYCONSUL, AgentProcess, Response, request, wait_for

SECONDS = float(os.environ.get("NEMESIS_SECONDS", "60"))
SEED = int(os.environ.get("NEMESIS_SEED", "1"))
CLIENTS = 6
OPERATIONS_PER_KEY = 150
DISK_BYTES = 64 << 20
FILLER = "filler"
LINK = "ens33"
REASON = reason_against()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(SECONDS * 2 + 240),
    pytest.mark.skipif(REASON is not None, reason=str(REASON)),
]


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


class NamespaceAgent(AgentProcess):
    """Requests are made from outside, through a link of the host's own that the nemesis leaves alone."""

    def __init__(self, number: int, host: str, folder: Path, door: str) -> None:
        self.host = host
        self.door = door
        address = ADDRESSES[number]
        super().__init__(f"docker{number + 1}", address, folder, [], prefix=in_namespace(host), program=PYCONSUL)
        self.arguments = ["-server", "-bootstrap-expect", "3", "-data-dir", str(self.data_dir), "-node", self.name]
        self.arguments += ["-bind", address, "-client", "0.0.0.0"]
        for other in ADDRESSES:
            if other != address:
                self.arguments += ["-retry-join", other]

    def request(self, method: str, path: str, body: bytes = b"", timeout_s: float = 15.0) -> Response:
        return request(self.door, method, path, body, timeout_s)


@contextmanager
def three_agents(folder: Path) -> Iterator[list[NamespaceAgent]]:
    """Every host has a second link to this machine, for the clients, and a small disk of its own."""
    with three_hosts() as hosts:
        agents: list[NamespaceAgent] = []
        mounted: list[Path] = []
        try:
            for number, host in enumerate(hosts):
                # Outside: 10.231.<n>.1, inside .2; names of links have at most 15 letters.
                link = f"nem{os.getpid() % 100000}x{number}"
                inside = f"10.231.{os.getpid() % 250}.{4 * number + 2}"
                outside = f"10.231.{os.getpid() % 250}.{4 * number + 1}"
                run("ip", "link", "add", link, "type", "veth", "peer", "name", "door", "netns", host)
                run("ip", "address", "add", f"{outside}/30", "dev", link)
                run("ip", "link", "set", link, "up")
                run("ip", "-n", host, "address", "add", f"{inside}/30", "dev", "door")
                run("ip", "-n", host, "link", "set", "door", "up")
                agent = NamespaceAgent(number, host, folder, inside)
                agent.data_dir.mkdir(parents=True)
                run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(agent.data_dir))
                mounted.append(agent.data_dir)
                agents.append(agent)
            yield agents
        finally:
            for agent in agents:
                agent.close()
                agent.show_log()
            for path in mounted:
                run("umount", "-l", str(path))


def misdirect(sender: NamespaceAgent, receiver: NamespaceAgent) -> None:
    where = ("to", receiver.address, "lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", LINK)
    run("ip", "-n", sender.host, "neigh", "replace", *where)


def shape(agent: NamespaceAgent, *discipline: str) -> None:
    run(*in_namespace(agent.host), "tc", "qdisc", "replace", "dev", LINK, "root", *discipline)


class Nemesis:
    """One fault at a time, or two; each ends before the run does. ``counts``: what was done how often."""

    def __init__(self, agents: list[NamespaceAgent], chance: random.Random) -> None:
        self.agents = agents
        self.chance = chance
        self.counts: Counter[str] = Counter()
        self.stop = threading.Event()
        self.failure: BaseException | None = None

    def work(self) -> None:
        kinds: list[Callable[[], None]] = [
            self.kill, self.pause, self.cut_off, self.deaf, self.mute, self.slow, self.fill, self.restart_all
        ]  # fmt: skip
        try:
            while not self.stop.wait(self.chance.uniform(1.0, 4.0)):
                for act in self.chance.sample(kinds, self.chance.choice([1, 1, 2])):
                    act()
                self.heal()
        except BaseException as error:
            self.failure = error

    def victim(self) -> NamespaceAgent:
        return self.chance.choice(self.agents)

    def hold(self, low: float = 1.0, high: float = 5.0) -> None:
        self.stop.wait(self.chance.uniform(low, high))

    def kill(self) -> None:
        self.counts["kill -9"] += 1
        agent = self.victim()
        if agent.running:
            agent.kill9()
        self.hold(0.1, 3.0)
        agent.start(wait=False)

    def restart_all(self) -> None:
        self.counts["kill -9 of all"] += 1
        for agent in self.agents:
            if agent.running:
                agent.kill9()
        for agent in self.agents:
            agent.start(wait=False)

    def pause(self) -> None:
        self.counts["SIGSTOP"] += 1
        agent = self.victim()
        if agent.running:
            agent.pause()
            self.hold(0.3, 4.0)
            agent.resume()

    def silence(self, agent: NamespaceAgent, *, hears: bool, speaks: bool) -> None:
        """What is sent that way goes to a hardware address that nobody has, so it is lost without a word."""
        for other in self.agents:
            if other is not agent:
                if not speaks:
                    misdirect(agent, other)
                if not hears:
                    misdirect(other, agent)
        self.hold()

    def cut_off(self) -> None:
        self.counts["partition"] += 1
        self.silence(self.victim(), hears=False, speaks=False)

    def deaf(self) -> None:
        self.counts["one-way partition (hears nothing)"] += 1
        self.silence(self.victim(), hears=False, speaks=True)

    def mute(self) -> None:
        self.counts["one-way partition (is not heard)"] += 1
        self.silence(self.victim(), hears=True, speaks=False)

    def slow(self) -> None:
        agent = self.victim()
        delay = f"{self.chance.randint(20, 200)}ms"
        try:
            shape(agent, "netem", "delay", delay, "30ms", "loss", f"{self.chance.randint(0, 15)}%")
            self.counts["slow network (netem)"] += 1
        except OSError:  # not in this kernel: little bandwidth has queues and losses too
            shape(agent, "tbf", "rate", f"{self.chance.randint(50, 400)}kbit", "burst", "5kb", "latency", "400ms")
            self.counts["slow network (tbf)"] += 1
        self.hold()

    def fill(self) -> None:
        self.counts["disk full"] += 1
        path = self.victim().data_dir / FILLER
        with suppress(OSError), path.open("wb", buffering=0) as file:  # ends with "no space left"
            while True:
                file.write(bytes(65536))
        self.hold()
        path.unlink()

    def heal(self) -> None:
        for agent in self.agents:
            with suppress(OSError):  # it was not slow
                run(*in_namespace(agent.host), "tc", "qdisc", "del", "dev", LINK, "root")
            run("ip", "-n", agent.host, "neigh", "flush", "dev", LINK, "nud", "permanent")
            (agent.data_dir / FILLER).unlink(missing_ok=True)
            if not agent.running:
                agent.start(wait=False)


def work(client: int, agents: list[NamespaceAgent], book: history.Book, stop: threading.Event, seed: int) -> None:
    """One client: an operation, its answer or none, the next; half of the time at the same agent as before."""
    chance = random.Random(seed)
    agent = chance.choice(agents)
    known: dict[str, tuple[str | None, int]] = {}  # key -> value and index that this client saw last
    number = 0
    while not stop.is_set():
        number += 1
        if chance.random() < 0.5:
            agent = chance.choice(agents)
        key = book.key(chance, OPERATIONS_PER_KEY)
        kind = chance.random()
        value = f"{client}-{number}"
        if kind < 0.5:
            mode = chance.choice(["", "", "consistent"])
            call = book.call(client, "read", key, None, mode)
            target, method, body = f"/v1/kv/{key}?{mode}", "GET", b""
        elif kind < 0.75 or key not in known:
            call = book.call(client, "write", key, value, "")
            target, method, body = f"/v1/kv/{key}", "PUT", value.encode()
        elif kind < 0.95:
            expected, index = known[key]
            call = book.call(client, "cas", key, [expected, value], "")
            target, method, body = f"/v1/kv/{key}?cas={index}", "PUT", value.encode()
        else:
            call = book.call(client, "delete", key, None, "")
            target, method, body = f"/v1/kv/{key}", "DELETE", b""
        try:
            answer = agent.request(method, target, body, timeout_s=4.0)
        except (OSError, http.client.HTTPException):
            book.unanswered(call)
            stop.wait(0.1)
            continue
        if answer.status == 404 and method == "GET":
            known[key] = (None, 0)
            book.answered(call, None)
        elif answer.status != 200:
            book.unanswered(call)
            stop.wait(0.1)
        elif method == "GET":
            found = answer.json()[0]
            seen = history.decoded(found["Value"])
            known[key] = (seen, found["ModifyIndex"])
            book.answered(call, seen)
        else:
            book.answered(call, answer.body.strip() == b"true")


def lock(client: int, agents: list[NamespaceAgent], book: history.Book, stop: threading.Event, seed: int) -> None:
    """Takes the one lock, keeps it a little, and lets go, over and over."""
    chance = random.Random(seed)
    session = ""
    while not stop.wait(0.05):
        agent = chance.choice(agents)
        try:
            if not session:
                body = json.dumps({"LockDelay": "0s", "TTL": "86400s"}).encode()
                answer = agent.request("PUT", "/v1/session/create", body, timeout_s=4.0)
                session = answer.json()["ID"] if answer.status == 200 else ""
                continue
            answer = agent.request("PUT", f"/v1/kv/lock?acquire={session}", session.encode(), timeout_s=4.0)
            if answer.status == 500 and b"invalid session" in answer.body:
                session = ""  # its node had failed
            if answer.status != 200 or answer.body.strip() != b"true":
                continue
            # Held for sure from the answer on until the release is sent, unless the session ends: then that is told.
            since = book.now()
            stop.wait(chance.uniform(0.01, 0.3))
            until = book.now()
            answer = agent.request("PUT", f"/v1/kv/lock?release={session}", session.encode(), timeout_s=4.0)
            if answer.status == 200 and answer.body.strip() == b"true":
                book.held(client, since, until)
        except (OSError, http.client.HTTPException, ValueError):
            continue


def test_histories_under_faults_have_an_explanation(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    book = history.Book()
    with three_agents(tmp_path) as agents:
        for agent in agents:
            agent.start(wait=False)
        for agent in agents:
            agent.wait_until_serving()
            agent.wait_for_leader()
        wait_for("three servers vote", lambda: len(agents[0].voters()) == 3)
        stop = threading.Event()
        nemesis = Nemesis(agents, chance)
        threads = [
            threading.Thread(target=function, args=(number, agents, book, stop, chance.getrandbits(32)))
            for number, function in enumerate([*[work] * CLIENTS, lock, lock, lock])
        ]
        evil = threading.Thread(target=nemesis.work)
        for thread in [*threads, evil]:
            thread.start()
        try:
            stop.wait(SECONDS)
            nemesis.stop.set()
            evil.join()
            nemesis.heal()
            for agent in agents:
                agent.wait_until_serving()
            for agent in agents:
                wait_for(f"{agent.name} serves reads again", partial(reads, agent))
        finally:
            nemesis.stop.set()
            stop.set()
            for thread in [*threads, evil]:
                thread.join()
            book.save(tmp_path / "history.jsonl")
        last_reads(agents, book)
        for agent in agents:
            assert "Traceback (most recent call last)" not in agent.log(), agent.log()[-5000:]
    book.save(tmp_path / "history.jsonl")
    if nemesis.failure is not None:
        raise nemesis.failure
    counts = history.judge(history.load(tmp_path / "history.jsonl"))
    print(f"nemesis: {dict(nemesis.counts)}; operations: {counts}")
    assert counts["answered"] > 10 * SECONDS, "hardly anything was answered"


def reads(agent: NamespaceAgent) -> bool:
    return agent.request("GET", "/v1/kv/anything?consistent").status == 404


def last_reads(agents: list[NamespaceAgent], book: history.Book) -> None:
    """What is there in the end, asked everywhere: an acknowledged write that vanished has no explanation then."""
    for key in sorted(book.keys):
        for agent in agents:
            call = book.call(99, "read", key, None, "consistent")
            answer = agent.request("GET", f"/v1/kv/{key}?consistent")
            assert answer.status in (200, 404), answer
            book.answered(call, history.decoded(answer.json()[0]["Value"]) if answer.status == 200 else None)
