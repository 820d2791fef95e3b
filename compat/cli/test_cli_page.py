"""The page about the command line says what the tests leave out."""

from cli_page import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "run compat/cli/cli_page.py"
