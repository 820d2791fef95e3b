"""Services and checks of an agent: in memory, on the disk, and in the catalog."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from pyconsul.agent.local_definitions import CheckDefinition, check_rules, cut_output, must_be_runnable
from pyconsul.agent.local_files import LocalFiles, SavedCheck
from pyconsul.agent.local_services import LocalServices
from pyconsul.agent.local_state import NODE_MAINTENANCE, LocalState
from pyconsul.agent.local_sync import done, mark_differences, next_command
from pyconsul.clock import Clock, SystemClock, seeded_random
from pyconsul.errors import CallerError, NoLeaderError, StorageError
from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import AnyCommand, Deregister, Register
from pyconsul.records.catalog import CONSUL_SERVICE, CRITICAL, PASSING, SERF_CHECK_ID, WARNING, Check, Node, Service
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.state.store import Store

NODE = Node("11111111-2222-3333-4444-555555555555", "here", "10.0.0.1", "dc1", {}, {})


class Replicated:
    """A store that takes commands at once, or has no leader."""

    def __init__(self) -> None:
        self.machine = StateMachine(Store())
        self.leader = True
        self.written: list[AnyCommand] = []
        check = Check("here", SERF_CHECK_ID, "", PASSING)
        self.apply(Register(NODE, Service("here", CONSUL_SERVICE, CONSUL_SERVICE), [check]))
        self.written.clear()

    @property
    def store(self) -> Store:
        return self.machine.store

    def apply(self, command: AnyCommand) -> None:
        self.written.append(command)
        result = self.machine.apply(self.machine.applied_index + 1, command)
        if isinstance(result, Exception):
            raise result

    async def read(self, mode: ReadMode) -> ReadMeta:
        if not self.leader:
            raise NoLeaderError
        return ReadMeta(True, 0, False)

    async def write(self, command: AnyCommand) -> object:
        if not self.leader:
            raise NoLeaderError
        self.apply(command)
        return True

    def services(self) -> dict[str, Service]:
        return {each.id: each for each in self.store.catalog.services_of_node("here") if each.id != CONSUL_SERVICE}

    def statuses(self) -> dict[str, str]:
        checks = self.store.catalog.checks_of_node("here")
        return {each.check_id: each.status for each in checks if each.check_id != SERF_CHECK_ID}


def service(id_: str = "web", name: str = "web", port: int = 80, tags: list[str] | None = None) -> Service:
    return Service("here", id_, name, tags or [], port=port, meta={})


def ttl(check_id: str = "c", seconds: float = 10.0, service_id: str = "web", **more: object) -> CheckDefinition:
    return CheckDefinition(check_id=check_id, name=check_id, ttl_ns=int(seconds * 1e9), service_id=service_id, **more)  # type: ignore[arg-type]


def state() -> LocalState:
    return LocalState("here", seeded_random(1))


class WallClock:
    """The hands are moved by the test; what is monotonic goes on."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def monotonic(self) -> float:
        return SystemClock().monotonic()

    def wall(self) -> float:
        return self.now


def local(
    replicated: Replicated, files: LocalFiles | None = None, clock: Clock | None = None, scripts: bool = False
) -> LocalServices:
    return LocalServices(
        state(), lambda: replicated, lambda: NODE, clock or SystemClock(), seeded_random(1),
        logging.getLogger("agent"), files, scripts,
    )  # fmt: skip


# In memory


def test_a_ttl_check_becomes_critical_when_it_is_not_renewed() -> None:
    here = state()
    here.add_service(service(), [ttl(seconds=10)], now=0.0)
    assert here.checks["c"].record.status == CRITICAL
    here.update_ttl("c", PASSING, "fine", now=5.0)
    assert here.next_deadline() == 15.0
    assert here.expire(14.9) == []
    assert [each.record.check_id for each in here.expire(15.0)] == ["c"]
    record = here.checks["c"].record
    assert (record.status, record.output) == (CRITICAL, "TTL expired (last output before timeout follows): fine")
    here.update_ttl("c", PASSING, "", now=20.0)
    assert here.checks["c"].record.status == PASSING


def test_a_check_that_is_registered_again_keeps_its_status() -> None:
    here = state()
    here.add_service(service(), [ttl()], 0.0)
    here.update_ttl("c", WARNING, "hot", 1.0)
    here.add_service(service(), [ttl(status=PASSING, notes="new")], 2.0)
    record = here.checks["c"].record
    assert (record.status, record.output, record.notes) == (WARNING, "hot", "new")


def test_a_status_is_urgent_and_an_output_alone_is_not() -> None:
    here = state()
    here.add_service(service(), [ttl(seconds=1e6)], 0.0)
    here.dirty_services.clear()
    here.dirty_checks.clear()
    here.update_ttl("c", PASSING, "one", 1.0)
    assert here.dirty_checks == {"c"}
    here.dirty_checks.clear()
    here.update_ttl("c", PASSING, "two", 2.0)
    assert not here.has_changes
    due = here.checks["c"].output_due
    assert due is not None and 152.0 <= due <= 452.0
    here.expire(due)
    assert here.dirty_checks == {"c"}


def test_checks_go_with_their_service_and_maintenance_too() -> None:
    here = state()
    here.add_service(service(), [ttl()], 0.0)
    here.set_maintenance("web", True, "", 0.0)
    here.set_maintenance("", True, "why", 0.0)
    assert here.checks[NODE_MAINTENANCE].record.notes == "why"
    assert here.remove_service("web") is not None
    assert set(here.checks) == {NODE_MAINTENANCE}
    assert here.remove_service("web") is None


def test_replacing_checks_leaves_maintenance() -> None:
    here = state()
    here.add_service(service(), [ttl("a"), ttl("b")], 0.0)
    here.set_maintenance("web", True, "", 0.0)
    assert here.add_service(service(), [ttl("b")], 1.0, replace_checks=True) == ["a"]
    assert set(here.checks) == {"b", "_service_maintenance:web"}


def test_a_check_needs_its_service() -> None:
    with pytest.raises(CallerError, match='ServiceID "none" does not exist'):
        state().add_check(ttl(service_id="none"), 0.0)


def test_services_that_are_critical_for_long_are_overdue() -> None:
    here = state()
    here.add_service(service(), [ttl(seconds=1e6, deregister_after_ns=1)], 0.0)  # a minute at least
    assert here.overdue_services(60.0) == []
    assert here.overdue_services(60.1) == ["web"]
    here.update_ttl("c", PASSING, "", 61.0)
    here.update_ttl("c", CRITICAL, "", 70.0)
    assert here.overdue_services(130.0) == []


def test_tags_for_events_are_those_of_all_instances() -> None:
    here = state()
    here.add_service(service("1", tags=["a"]), [], 0.0)
    here.add_service(service("2", tags=["b"]), [], 0.0)
    assert here.tags_by_service() == {"web": ["a", "b"]}


def test_long_outputs_are_cut_at_bytes() -> None:
    assert cut_output("ä" * 4, 8) == "ä" * 4
    assert cut_output("ä" * 5, 8) == "ä" * 4 + " ... (captured 8 of 10 bytes)"


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        (CheckDefinition(), "TTL must be > 0 for TTL checks"),
        (CheckDefinition(ttl_ns=1, interval_ns=1), "Interval and TTL cannot both be specified"),
        (CheckDefinition(alias_service="a", ttl_ns=1), "TTL must be not be set for Alias checks"),
        (CheckDefinition(ttl_ns=1, output_max_bytes=-1), "MaxOutputMaxSize must be positive"),
    ],
)
def test_rules_of_checks(definition: CheckDefinition, text: str) -> None:
    with pytest.raises(CallerError, match=f"^Invalid check: {text}"):
        check_rules(definition)


def test_scripts_are_off_unless_configured() -> None:
    script = CheckDefinition(script_args=["true"], interval_ns=1)
    with pytest.raises(CallerError, match="Scripts are disabled"):
        must_be_runnable(script, scripts_enabled=False)
    must_be_runnable(script, scripts_enabled=True)
    in_a_container = CheckDefinition(script_args=["true"], docker_container_id="c", interval_ns=1)
    with pytest.raises(CallerError, match="This agent does not run docker checks"):
        must_be_runnable(in_a_container, scripts_enabled=True)


# In the catalog


async def test_what_is_registered_is_in_the_catalog_when_the_call_returns() -> None:
    replicated = Replicated()
    here = local(replicated)
    await here.register_service(service(), [ttl()])
    assert replicated.services()["web"].port == 80 and replicated.statuses() == {"c": CRITICAL}
    await here.update_ttl("c", PASSING, "")
    assert replicated.statuses() == {"c": PASSING}
    await here.set_maintenance("web", True, "")
    assert replicated.statuses()["_service_maintenance:web"] == CRITICAL
    await here.deregister_service("web")
    assert replicated.services() == {} and replicated.statuses() == {}


async def test_the_same_again_writes_nothing() -> None:
    replicated = Replicated()
    here = local(replicated)
    await here.register_service(service(), [ttl()])
    replicated.written.clear()
    await here.register_service(service(), [ttl()])
    assert await here.full_sync()
    assert replicated.written == []


async def test_without_a_leader_a_change_is_made_up_for() -> None:
    replicated = Replicated()
    here = local(replicated)
    replicated.leader = False
    await here.register_service(service(), [ttl()])
    assert replicated.services() == {} and not await here.full_sync()
    replicated.leader = True
    assert await here.sync_changes()
    assert set(replicated.services()) == {"web"}


async def test_a_full_comparison_mends_what_others_did() -> None:
    replicated = Replicated()
    here = local(replicated)
    await here.register_service(service(), [ttl()])
    replicated.apply(Register(NODE, service(port=81), skip_node_update=True))
    replicated.apply(Register(NODE, service("foreign", "foreign"), [Check("here", "f", "f")], skip_node_update=True))
    replicated.apply(Deregister("here", check_id="c"))
    assert await here.full_sync()
    assert replicated.services()["web"].port == 80 and set(replicated.services()) == {"web"}
    assert set(replicated.statuses()) == {"c"}
    assert replicated.store.catalog.check("here", SERF_CHECK_ID) is not None
    assert replicated.store.catalog.service("here", CONSUL_SERVICE) is not None


async def test_tags_may_be_overridden_in_the_catalog() -> None:
    replicated = Replicated()
    here = local(replicated)
    mine = msgspec.structs.replace(service(tags=["old"]), enable_tag_override=True)
    await here.register_service(mine, [])
    replicated.apply(Register(NODE, msgspec.structs.replace(mine, tags=["new"]), skip_node_update=True))
    assert await here.full_sync()
    assert here.state.services["web"].tags == replicated.services()["web"].tags == ["new"]


def test_every_step_brings_the_end_nearer() -> None:
    replicated, here = Replicated(), state()
    here.add_service(service(), [ttl("a"), ttl("b")], 0.0)
    here.add_check(ttl("n", service_id=""), 0.0)
    steps = 0
    while (command := next_command(here, NODE)) is not None:
        replicated.apply(command)
        done(here, command, NODE)
        steps += 1
    assert steps == 2 and set(replicated.statuses()) == {"a", "b", "n"}
    mark_differences(here, NODE, replicated.store.catalog)
    assert not here.has_changes


async def test_a_change_during_the_write_is_written_afterwards() -> None:
    replicated = Replicated()
    here = local(replicated)
    await here.register_service(service(), [])
    command = Register(NODE, service(port=1), skip_node_update=True)
    here.state.add_service(service(port=2), [], 0.0)
    done(here.state, command, NODE)
    assert here.state.dirty_services == {"web"}


# On the disk


async def test_a_restarted_agent_has_its_services_and_the_status_of_checks(tmp_path: Path) -> None:
    replicated = Replicated()
    here = local(replicated, LocalFiles(tmp_path))
    await here.register_service(service("w/1 ü"), [ttl(service_id="w/1 ü", seconds=1e6)])
    await here.register_check(ttl("of the node", service_id="", seconds=1e6))
    await here.update_ttl("c", PASSING, "fine")
    await here.set_maintenance("", True, "why")
    await here.register_service(service("gone"), [ttl("gone", service_id="gone")])
    await here.deregister_service("gone")
    again = local(replicated, LocalFiles(tmp_path))
    await again.load()
    assert again.state.services == {"w/1 ü": here.state.services["w/1 ü"]}
    assert {id_: each.record for id_, each in again.state.checks.items()} == {
        id_: each.record for id_, each in here.state.checks.items()
    }
    replicated.written.clear()
    assert await again.full_sync()
    assert replicated.written == [], "nothing has changed"


async def test_a_check_whose_service_went_is_not_brought_back(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.save_check(SavedCheck(ttl(), PASSING, "", "ttl"))
    again = local(Replicated(), files)
    await again.load()
    assert again.state.checks == {}


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.save_service(service())
    [path] = (tmp_path / "services").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{")
    with pytest.raises(StorageError, match=f"{path} cannot be read"):
        files.load()
    path.rename(path.with_suffix(".tmp"))  # what a crash left
    assert files.load() == ([], [])


def record(here: LocalServices, check_id: str) -> tuple[str, str]:
    found = here.state.checks[check_id].record
    return found.status, found.output


@pytest.mark.parametrize("away_s", [590.0, 601.0])
async def test_a_report_counts_after_a_restart_for_as_long_as_its_ttl(tmp_path: Path, away_s: float) -> None:
    clock, files = WallClock(), LocalFiles(tmp_path)
    here = local(Replicated(), files, clock)
    await here.configure([(service(), [ttl("given", 600), ttl("hopeful", 600, status=WARNING)])], [])
    await here.register_check(ttl("by http", 600, service_id=""))
    for check_id in ("given", "hopeful", "by http"):
        await here.update_ttl(check_id, WARNING, "hot")
        clock.now += 1.0
        await here.update_ttl(check_id, PASSING, "fine")
    clock.now += away_s

    again = local(Replicated(), files, clock)
    await again.load()
    await again.configure([(service(), [ttl("given", 600), ttl("hopeful", 600, status=WARNING)])], [])
    in_time = away_s < 600
    assert record(again, "given") == ((PASSING, "fine") if in_time else (CRITICAL, ""))
    assert record(again, "hopeful") == ((PASSING, "fine") if in_time else (WARNING, ""))
    assert record(again, "by http") == ((PASSING, "fine") if in_time else (CRITICAL, ""))
    assert again.state.next_deadline() is not None, "the TTL begins anew"


async def test_reports_go_with_their_checks(tmp_path: Path) -> None:
    clock, files = WallClock(), LocalFiles(tmp_path)
    here = local(Replicated(), files, clock)
    await here.configure([(service(), [ttl("given", 600)])], [ttl("lost", 600, service_id="")])
    await here.register_check(ttl("by http", 600, service_id=""))
    for check_id in ("given", "lost", "by http"):
        await here.update_ttl(check_id, PASSING, "fine")
    assert set(files.load_reports()) == {"given", "lost", "by http"}
    await here.deregister_check("by http")
    assert set(files.load_reports()) == {"given", "lost"}
    again = local(Replicated(), files, clock)
    await again.load()
    await again.configure([(service(), [ttl("given", 600)])], [])
    assert set(files.load_reports()) == {"given"}, "the files had lost one meanwhile"
    await again.configure([], [])
    assert files.load_reports() == {}
    await again.configure([(service(), [ttl("given", 600)])], [])
    assert record(again, "given") == (CRITICAL, ""), "it was away: nothing is known of it"


async def test_a_report_of_a_check_that_has_become_another_kind_is_nothing(tmp_path: Path) -> None:
    clock, files = WallClock(), LocalFiles(tmp_path)
    here = local(Replicated(), files, clock)
    await here.configure([], [ttl("c", 600, service_id="")])
    await here.update_ttl("c", PASSING, "fine")
    again = local(Replicated(), files, clock)
    await again.load()
    await again.configure([], [CheckDefinition(check_id="c", name="c", tcp="127.0.0.1:1", interval_ns=10**9)])
    assert record(again, "c") == (CRITICAL, "")


async def test_a_stored_script_does_not_run_where_scripts_are_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = LocalFiles(tmp_path)
    script = CheckDefinition(check_id="s", name="s", script_args=["true"], interval_ns=10**9)
    await local(Replicated(), files, scripts=True).register_check(script)
    off = local(Replicated(), files)
    await off.load()
    assert off.state.checks == {}
    assert [each.message for each in caplog.records] == ["Failed to restore check: scripts are off"]
    on = local(Replicated(), files, scripts=True)
    await on.load()
    assert on.state.checks["s"].definition == script


# Configuration files


async def test_what_files_give_is_replaced_whole_and_not_kept_on_the_disk(tmp_path: Path) -> None:
    replicated, files = Replicated(), LocalFiles(tmp_path)
    here = local(replicated, files)
    await here.register_service(service("http", "http"), [])
    await here.configure([(service(), [ttl("web-c")]), (service("gone", "gone"), [])], [ttl("node-c", service_id="")])
    assert set(here.state.services) == {"http", "web", "gone"} and set(here.state.checks) == {"web-c", "node-c"}
    await here.update_ttl("web-c", PASSING, "fine")
    await here.configure([(service(port=81), [ttl("web-c")])], [])
    assert set(here.state.services) == {"http", "web"} and set(here.state.checks) == {"web-c"}
    assert here.state.services["web"].port == 81 and here.state.checks["web-c"].record.status == PASSING
    assert await here.full_sync() and set(replicated.services()) == {"http", "web"}
    services, checks = files.load()
    assert [each.id for each in services] == ["http"] and checks == []


async def test_a_service_of_the_files_that_http_takes_over_stays(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    here = local(Replicated(), files)
    await here.configure([(service(), [])], [])
    await here.register_service(service(port=90), [])
    assert [each.port for each in files.load()[0]] == [90]
    await here.configure([], [])
    assert set(here.state.services) == {"web"}
    await here.configure([(service(), [])], [])
    assert here.state.services["web"].port == 80 and files.load()[0] == [], "files come first for the same id"


async def test_a_check_without_its_service_leaves_everything_as_it_was() -> None:
    here = local(Replicated())
    await here.configure([(service(), [])], [])
    with pytest.raises(CallerError, match="Failed to register check 'c': ServiceID \"web\" does not exist"):
        await here.configure([], [ttl("c", service_id="web")])
    assert set(here.state.services) == {"web"}


async def test_the_log_tells_once_that_the_catalog_has_the_node(caplog: pytest.LogCaptureFixture) -> None:
    here = local(Replicated())
    with caplog.at_level(logging.INFO, "agent"):
        assert await here.full_sync() and await here.full_sync()
    assert [each.message for each in caplog.records].count("Synced node info") == 1
