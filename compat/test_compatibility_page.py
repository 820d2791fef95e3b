"""The page about compatibility says what the replay found."""

from replaying import AGENT, files
from test_recordings_cluster import AGENT_FILES
from write_compatibility import NOT_PLAYED, PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run compat/write_compatibility.py"


def test_no_recording_is_left_out_silently() -> None:
    assert set(files(AGENT)) == {*AGENT_FILES, "agent-cluster", *NOT_PLAYED}
