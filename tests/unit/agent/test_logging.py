"""The agent's log: lines, levels, files, watchers."""

from __future__ import annotations

import io
import json
import logging
import re
import stat
import syslog
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyconsul.agent import logging as agent_logging
from pyconsul.agent.log_file import LogFile
from pyconsul.agent.log_lines import TRACE, json_line, level_name, parse_level, text_line
from pyconsul.agent.logging import LINES_WATCHED_MAX, AgentLog
from pyconsul.agent.runtime_config import LogConfig
from pyconsul.errors import ConfigError

ROOT = "agent-under-test"


def log_config(**changed: Any) -> LogConfig:
    values: dict[str, Any] = {
        "level": "info",
        "json": False,
        "file": "",
        "rotate_bytes": 0,
        "rotate_seconds": 0.0,
        "rotate_max_files": 0,
        "syslog": False,
        "syslog_facility": "LOCAL0",
    }
    return LogConfig(**(values | changed))


@pytest.fixture
def logs() -> Iterator[Callable[..., tuple[AgentLog, io.BytesIO]]]:
    made = []

    def make(**changed: Any) -> tuple[AgentLog, io.BytesIO]:
        output = io.BytesIO()
        made.append(AgentLog(log_config(**changed), output, root=ROOT))
        return made[-1], output

    yield make
    for one in made:
        one.stop()


def record(message: str, level: int = logging.INFO, pairs: dict[str, object] | None = None) -> logging.LogRecord:
    made = logging.getLogger("agent.server").makeRecord(
        "agent.server", level, "", 0, message, (), None, extra={"pairs": pairs} if pairs else None
    )
    made.created = 1795426037.289123
    return made


def test_a_line_of_text() -> None:
    pairs: dict[str, object] = {
        "address": "127.0.0.51:8600",
        "error": None,
        "on": True,
        "to": ["a"],
        "both": ["a", "b"],
    }
    line = text_line(record("Started", pairs=pairs))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.289(Z|[+-]\d{4}) \[INFO\]  agent\.server: Started: "
        r'address=127\.0\.0\.51:8600 error=<nil> on=true to=\[a\] both="\[a b\]"',
        line,
    )


def test_levels_are_padded_to_seven() -> None:
    shown = [text_line(record("x", level)).split(" ", 1)[1] for level in (TRACE, 10, 20, 30, 40, 50)]
    assert shown == [
        "[TRACE] agent.server: x",
        "[DEBUG] agent.server: x",
        "[INFO]  agent.server: x",
        "[WARN]  agent.server: x",
        "[ERROR] agent.server: x",
        "[ERROR] agent.server: x",
    ]


def test_line_breaks_and_quotes_stay_as_they_are() -> None:
    line = text_line(record("no", pairs={"error": '1 error:\n\t* "x"'}))
    assert line.endswith('agent.server: no: error="1 error:\n\t* "x""')


def test_a_traceback_follows_its_line() -> None:
    try:
        raise ValueError("boom")
    except ValueError as error:
        made = record("failed")
        made.exc_info = (ValueError, error, error.__traceback__)
    assert text_line(made).endswith("ValueError: boom")
    assert "boom" in json.loads(json_line(made))["stacktrace"]


def test_json_has_sorted_keys_and_microseconds() -> None:
    line = json_line(record("a <b> & c", logging.WARNING, {"z": 1, "list": ["a"], "path": Path("/x")}))
    assert "\\u003cb\\u003e \\u0026" in line
    fields = json.loads(line)
    assert list(fields) == ["@level", "@message", "@module", "@timestamp", "list", "path", "z"]
    assert fields["@level"] == "warn"
    assert fields["@message"] == "a <b> & c"
    assert fields["z"] == 1 and fields["path"] == "/x"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)", fields["@timestamp"])


def test_level_names() -> None:
    assert parse_level("Err") == parse_level("ERROR") == logging.ERROR
    assert parse_level("loud") is None
    assert level_name(TRACE) == "TRACE"


def test_lines_wait_until_opened_and_lower_levels_are_left_out(
    logs: Callable[..., tuple[AgentLog, io.BytesIO]],
) -> None:
    one, output = logs()
    logger = logging.getLogger(f"{ROOT}.http")
    logger.info("first")
    logger.debug("never")
    assert output.getvalue() == b""
    one.start()
    logger.warning("second %s", 2)
    one.stop()
    lines = output.getvalue().decode().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        f"[INFO]  {ROOT}.http: first",
        f"[WARN]  {ROOT}.http: second 2",
    ]


def test_a_bad_level_is_refused_and_on_reload_ignored(logs: Callable[..., tuple[AgentLog, io.BytesIO]]) -> None:
    with pytest.raises(ConfigError) as caught:
        logs(level="loud")
    assert str(caught.value) == ("Invalid log level: loud. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]")
    one, _ = logs()
    assert not one.set_level("loud")
    assert one.level == logging.INFO
    assert one.set_level("trace")
    assert logging.getLogger(ROOT).isEnabledFor(TRACE)


def test_a_watcher_gets_lines_below_the_level_of_the_log(logs: Callable[..., tuple[AgentLog, io.BytesIO]]) -> None:
    one, output = logs(level="warn")
    logger = logging.getLogger(ROOT)
    woken: list[int] = []
    watcher = one.watch(logging.DEBUG, lambda: woken.append(1))
    as_json = one.watch(logging.ERROR, lambda: None, as_json=True)
    logger.debug("seen")
    logger.error("both")
    assert [line.split(": ")[1] for line in watcher.take()] == ["seen", "both"]
    assert [json.loads(line)["@message"] for line in as_json.take()] == ["both"]
    assert watcher.take() == [] and len(woken) == 2
    one.unwatch(watcher)
    logger.debug("unseen")
    assert watcher.take() == []
    assert not logger.isEnabledFor(logging.DEBUG)
    one.stop()
    assert b"seen" not in output.getvalue()


def test_a_slow_watcher_loses_the_oldest_lines(logs: Callable[..., tuple[AgentLog, io.BytesIO]]) -> None:
    one, _ = logs()
    watcher = one.watch(logging.INFO, lambda: None)
    for number in range(LINES_WATCHED_MAX + 3):
        logging.getLogger(ROOT).info("n%d", number)
    lines = watcher.take()
    assert len(lines) == LINES_WATCHED_MAX and watcher.dropped == 3
    assert lines[0].endswith(" n3")


class Stuck(io.BytesIO):
    """An output that takes nothing until told to."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def write(self, data: Any) -> int:
        self.entered.set()
        assert self.go_on.wait(30), "nobody let the output go on"
        return super().write(data)


def test_a_stuck_output_stops_nobody_and_losses_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_logging, "LINES_WAITING_MAX", 3)
    output = Stuck()
    one = AgentLog(log_config(), output, root=ROOT)
    try:
        one.start()
        logger = logging.getLogger(ROOT)
        logger.info("in the writer's hands")
        assert output.entered.wait(30), "the writer did not begin"
        for number in range(5):
            logger.info("n%d", number)
    finally:
        output.go_on.set()
        one.stop()
    text = output.getvalue().decode()
    assert " n2\n" in text and " n3\n" not in text
    assert "Log lines dropped: count=2" in text


def test_a_closed_output_is_no_reason_to_fail(logs: Callable[..., tuple[AgentLog, io.BytesIO]], tmp_path: Path) -> None:
    one, output = logs(file=f"{tmp_path}/x.log")
    output.close()
    logging.getLogger(ROOT).info("to the file only")
    one.stop()
    (file,) = tmp_path.iterdir()
    assert "to the file only" in file.read_text()


def test_a_file_gets_the_same_lines(logs: Callable[..., tuple[AgentLog, io.BytesIO]], tmp_path: Path) -> None:
    one, output = logs(file=f"{tmp_path}/")
    one.start()
    logging.getLogger(ROOT).info("hello")
    one.stop()
    (file,) = tmp_path.iterdir()
    assert re.fullmatch(r"consul-\d{19}\.log", file.name)
    assert stat.S_IMODE(file.stat().st_mode) & ~0o640 == 0
    assert file.read_bytes() == output.getvalue()


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        AgentLog(log_config(file=f"{tmp_path}/nosuch/x.log"), io.BytesIO(), root=ROOT)
    assert re.fullmatch(
        rf"Failed to setup logging: open {tmp_path}/nosuch/x-\d+\.log: no such file or directory", str(caught.value)
    )


def test_a_file_that_fails_later_is_told_once_and_tried_again(
    logs: Callable[..., tuple[AgentLog, io.BytesIO]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, output = logs(file=f"{tmp_path}/x.log")
    failures = [True, True, False]

    def write(self: LogFile, data: bytes) -> None:
        if failures.pop(0):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(LogFile, "write", write)
    for text in ("a", "b", "c"):
        one._write([(logging.INFO, text)])
    assert output.getvalue().count(b"Log file cannot be written: error=") == 1
    assert failures == []


def test_an_unknown_facility_is_refused() -> None:
    with pytest.raises(ConfigError, match="invalid syslog facility: nosuch"):
        AgentLog(log_config(syslog=True, syslog_facility="nosuch"), io.BytesIO(), root=ROOT)


def test_syslog_gets_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "syslog", lambda priority, line: sent.append((priority, line)))
    one = AgentLog(log_config(syslog=True), io.BytesIO(), root=ROOT)
    logging.getLogger(ROOT).error("bad")
    one.stop()
    ((priority, line),) = sent
    assert priority == syslog.LOG_ERR | syslog.LOG_LOCAL0
    assert line.endswith(": bad")


class FakeClock:
    def __init__(self) -> None:
        self.now = 1795426244.5

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def test_a_new_file_by_size_and_by_age(tmp_path: Path) -> None:
    clock = FakeClock()
    file = LogFile(f"{tmp_path}/my.txt", clock, max_bytes=10, max_seconds=60)
    for _ in range(3):
        file.write(b"123456\n")
        clock.now += 1
    assert [path.read_bytes() for path in file.files()] == [b"123456\n"] * 3
    clock.now += 60
    file.write(b"x\n")
    file.close()
    assert len(file.files()) == 4
    assert all(re.fullmatch(r"my-\d{19}\.txt", path.name) for path in file.files())


@pytest.mark.parametrize(("max_files", "left"), [(0, 5), (2, 3), (-1, 1)])
def test_old_files_go(tmp_path: Path, max_files: int, left: int) -> None:
    (tmp_path / "my-not.txt").write_text("not ours")
    clock = FakeClock()
    file = LogFile(f"{tmp_path}/my.txt", clock, max_bytes=1, max_files=max_files)
    for number in range(5):
        file.write(f"{number}\n".encode())
        clock.now += 1
    file.close()
    assert len(file.files()) == left
    assert file.files()[-1].read_bytes() == b"4\n"
    assert (tmp_path / "my-not.txt").exists()


def test_two_files_in_one_instant_have_two_names(tmp_path: Path) -> None:
    clock = FakeClock()
    first, second = LogFile(f"{tmp_path}/x", clock), LogFile(f"{tmp_path}/x", clock)
    assert first.path != second.path
    assert first.path.endswith(".log")
    first.close()
    second.close()
