"""JSON as clients really send it: every digit comes back, and what cannot be read one way only is refused."""

from decimal import Decimal

import pytest

from server.fhir.errors import InvalidJson
from server.fhir.json import MAX_DEPTH, decode, decode_object, encode


def test_a_decimal_leaves_with_the_digits_it_came_with() -> None:
    raw = b'{"low":1.00,"high":0.1234567890123456789012345,"count":3,"none":null}'
    assert decode(raw)["low"] == Decimal("1.00")
    assert encode(decode(raw)) == raw


def test_members_keep_their_order() -> None:
    assert list(decode(b'{"z":1,"a":{"y":1,"b":2}}')) == ["z", "a"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not valid JSON: it is empty"),
        (b'{"resourceType":"Bundle"', "not valid JSON"),
        (b'{"value":NaN}', "not valid JSON"),
        (b'{"value":Infinity}', "not valid JSON"),
        (b'{"value":1} {"value":2}', "trailing"),
        (b'{"name":"\\ud800"}', "not valid JSON"),
        (b'{"name":"\xff"}', "UTF-8"),
        (b'{"value":1e99999}', "1e400"),
        (b'{"status":"active","status":"draft"}', '"status" appears twice'),
        (b'{"a":[{"status":"active","x":1,"status":"active"}]}', '"status" appears twice'),
        (b'{"a":"\\u0022\\u0022","b":1,"b":2}', '"b" appears twice'),
        (b'{"a":"\\\\ \\u0000"}', "U+0000"),
        (b'{"\\u0000":1}', "U+0000"),
        (b"[" * 100_000 + b"]" * 100_000, "nests"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nests"),
    ],
)
def test_what_is_no_json_or_means_two_things_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(InvalidJson) as refused:
        decode(raw)
    assert said in refused.value.issues[0].diagnostics


def test_an_escaped_quotation_mark_is_no_duplicate() -> None:
    assert decode(b'{"a":"\\u0022","b":"say \\"six\\""}') == {"a": '"', "b": 'say "six"'}
    assert decode(b'{"a":"\\\\u0000"}') == {"a": "\\u0000"}


def test_the_deepest_allowed_value_is_read() -> None:
    assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert decode(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize("raw", [b"[]", b'"Bundle"', b"null", b"1"])
def test_a_body_that_must_be_an_object_is_one(raw: bytes) -> None:
    with pytest.raises(InvalidJson):
        decode_object(raw)
