"""JSON configuration: what Go accepts, and Go's words for the rest."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.agent.json_text import parse_json_object
from pyconsul.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "unexpected end of JSON input"),
        ('{"a": ', "unexpected end of JSON input"),
        ('{"a', "unexpected end of JSON input"),
        ('{"a":"\\', "unexpected end of JSON input"),
        ('{"a":"\\u12', "unexpected end of JSON input"),
        ('{"a":tr', "unexpected end of JSON input"),
        ("data", "invalid character 'd' looking for beginning of value"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ('{"a":[1,]}', "invalid character ']' looking for beginning of value"),
        ('{"a":[1 2]}', "invalid character '2' after array element"),
        ("{} x", "invalid character 'x' after top-level value"),
        ('{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        ('{"a":01}', "invalid character '1' after object key:value pair"),
        ('{"a":-}', "invalid character '}' in numeric literal"),
        ('{"a":1.}', "invalid character '}' after decimal point in numeric literal"),
        ('{"a":1e}', "invalid character '}' in exponent of numeric literal"),
        ('{"a":"\n"}', "invalid character '\\n' in string literal"),
        ('{"a":"\\q"}', "invalid character 'q' in string escape code"),
        ('{"a":"\\u12x"}', "invalid character 'x' in \\u hexadecimal character escape"),
        ('{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        ("\ufeff{}", "invalid character 'ï' looking for beginning of value"),
        ("[]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ('"x"', "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        ("true", "json: cannot unmarshal bool into Go value of type map[string]interface {}"),
        ("-1.5e+3", "json: cannot unmarshal number into Go value of type map[string]interface {}"),
    ],
)
def test_errors(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_json_object(text)
    assert str(caught.value) == error


def test_values() -> None:
    text = ' {"a": 1, "b": "\\u00e9\\n", "c": [true, null, {}], "a": 2, "d": -0.5e1, "e": []} '
    assert parse_json_object(text) == {"a": 2.0, "b": "é\n", "c": [True, None, {}], "d": -5.0, "e": []}
    assert isinstance(parse_json_object(text)["a"], float)
    assert parse_json_object("null") == {}


@given(st.text(alphabet='{}[],:"\\ue1.-+0tnalsr \n', max_size=40))
def test_accepts_what_python_accepts_and_nothing_else(text: str) -> None:
    try:
        expected: object = json.loads(text, parse_int=float)
    except ValueError:
        expected = ConfigError
    try:
        found: object = parse_json_object(text)
    except ConfigError as error:
        assert expected is ConfigError or "cannot unmarshal" in str(error)
    else:
        assert found == (expected if expected is not None else {})
