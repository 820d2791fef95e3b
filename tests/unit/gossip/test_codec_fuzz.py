"""Any bytes are parsed or rejected with DecodeError, and parsing allocates no more than the documented bounds."""

from __future__ import annotations

import contextlib
import json
import pathlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.errors import DecodeError
from pyconsul.gossip import packet as p
from pyconsul.gossip.dialect import pack
from pyconsul.gossip.keyring import Keyring
from pyconsul.gossip.lzw import compress, decompress
from pyconsul.gossip.messages import Alive, Ping, User
from pyconsul.gossip.serf_messages import decode_serf, decode_tags, encode_tags
from pyconsul.gossip.stream_codec import StreamDecoder, StreamError, encode_stream

FILE = pathlib.Path(__file__).parents[2] / "data" / "gossip-vectors.json"
CAPTURED = [bytes.fromhex(vector["hex"]) for vector in json.loads(FILE.read_text()) if len(vector["hex"]) < 3000]
KEY = bytes(range(32))


def plain() -> p.Security:
    return p.Security(nonce=bytes)


def sealed(version: int = 1, label: bytes = b"") -> p.Security:
    return p.Security(nonce=bytes, ring=Keyring([KEY]), version=version, label=label)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A captured packet with some bytes changed, cut or doubled: gets deeper into the decoders than noise does."""
    data = bytearray(draw(st.sampled_from(CAPTURED)))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(data) - 1))
        data[position] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(1, len(data)))]) if draw(st.booleans()) else bytes(data)


@given(st.one_of(st.binary(max_size=2000), damaged()))
def test_datagrams_are_total(data: bytes) -> None:
    for security in (plain(), sealed()):
        with contextlib.suppress(DecodeError):
            for message in p.decode_packet(data, security).messages:
                if isinstance(message, User):
                    with contextlib.suppress(DecodeError):
                        decode_serf(message.payload)


@given(st.one_of(st.binary(max_size=500), damaged()), st.integers(1, 50))
def test_streams_are_total_whole_and_in_pieces(data: bytes, size: int) -> None:
    def outcome(step: int) -> object:
        decoder = StreamDecoder(plain(), initiator=True)
        try:
            for start in range(0, len(data), step):
                message = decoder.feed(data[start : start + step])
                if message is not None:
                    return message
        except StreamError:
            return "refused"
        return None

    whole = outcome(len(data) or 1)
    assert repr(outcome(size)) == repr(whole)  # repr: a NaN equals itself


@given(st.integers(0, 9), st.binary(max_size=300))
def test_serf_messages_are_total(kind: int, body: bytes) -> None:
    with contextlib.suppress(DecodeError):
        decode_serf(bytes((kind,)) + body)


@given(st.binary(max_size=5000))
def test_compression_round_trip(data: bytes) -> None:
    assert decompress(compress(data), 5000) == data


@pytest.mark.parametrize("size", [4000, 30_000, 120_000])
def test_compression_round_trip_over_table_resets(size: int) -> None:
    data = b"".join(index.to_bytes(3, "big") for index in range(size // 3))
    assert decompress(compress(data), size) == data


@given(st.binary(max_size=300), st.sampled_from([0, 1]), st.sampled_from([b"", b"blue"]), st.booleans())
def test_sealed_packets_round_trip(payload: bytes, version: int, label: bytes, crc: bool) -> None:
    security = sealed(version, label)
    data = p.encode_packet([User(payload).encode()], security, crc, compression=True)
    assert p.decode_packet(data, security).messages == [User(payload)]
    with pytest.raises(DecodeError):
        p.decode_packet(data, sealed(version, b"green"))


@pytest.mark.parametrize("version", [0, 1])
def test_sealed_streams_round_trip(version: int) -> None:
    security = sealed(version, b"blue")
    data = encode_stream(Ping("a", 7).encode(), security, True, compression=True)
    assert StreamDecoder(security, initiator=True).feed(data) == Ping("a", 7)
    with pytest.raises(StreamError, match="not encrypted"):
        StreamDecoder(security, initiator=False).feed(Ping("a", 7).encode())
    with pytest.raises(StreamError, match="encryption is not configured"):
        StreamDecoder(p.Security(nonce=bytes), initiator=False).feed(data[6:])


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=300), max_size=8))
def test_tags_round_trip_and_do_not_depend_on_order(tags: dict[str, str]) -> None:
    assert decode_tags(encode_tags(tags)) == tags
    assert encode_tags(dict(reversed(tags.items()))) == encode_tags(tags)


def test_wider_integers_new_strings_and_unknown_keys_are_accepted() -> None:
    body = b"\x84\xd9\x04Node\xd9\x01a\xa5SeqNo\xcf\0\0\0\0\0\0\0\x07\xa1x\xc0\xaaSourceAddr\xc4\x04\x7f\0\0\x01"
    assert p.decode_packet(b"\0" + body, plain()).messages == [Ping("a", 7, source_address=b"\x7f\0\0\x01")]


def test_versions_as_a_list_of_integers_are_accepted() -> None:
    body = pack({"Node": "n", "Vsn": [1, 5, 2, 2, 5, 4]})
    expected = Alive(0, "n", b"", 0, b"", b"\x01\x05\x02\x02\x05\x04")
    assert p.decode_packet(b"\x04" + body, plain()).messages == [expected]


def test_a_cut_compound_yields_its_complete_parts() -> None:
    whole = p.make_compound([Ping("a", 1).encode(), Ping("b", 2).encode()])
    assert p.decode_packet(whole[:-1], plain()).messages == [Ping("a", 1)]


def test_a_bad_part_does_not_take_the_others_along() -> None:
    packet = p.decode_packet(p.make_compound([b"\x63bad", Ping("b", 2).encode()]), plain())
    assert packet.messages == [Ping("b", 2)]
    assert len(packet.errors) == 1


def test_wrong_checksum_is_refused() -> None:
    data = bytearray(p.add_crc(Ping("a", 1).encode()))
    data[-1] ^= 1
    with pytest.raises(DecodeError, match="checksum"):
        p.decode_packet(bytes(data), plain())


def _nested_lists(count: int) -> bytes:
    return b"\x04" + b"\xdc\xff\xff" * count


def _bomb() -> bytes:
    return p.add_compression(bytes(4 * 1024 * 1024))


def _bombs_in_a_compound() -> bytes:
    part = p.add_compression(b"\x08" + bytes(200_000))
    return p.make_compound([part] * 50)


CLAIMS = [
    _nested_lists(20_000),
    b"\x04" + b"\xdc\x04\x00" * 20_000,
    _bomb(),
    b"\x04\xdd\xff\xff\xff\xff",
    b"\x04\xdf\xff\xff\xff\xff",
]


@pytest.mark.parametrize("data", CLAIMS, ids=["lists", "short-lists", "bomb", "list", "map"])
def test_claims_of_size_are_not_believed(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            p.decode_packet(data, plain())
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_one_datagram_has_one_budget() -> None:
    packet = p.decode_packet(_bombs_in_a_compound(), plain())
    assert len(packet.messages) == 1
    assert len(packet.errors) == 49


def test_nesting_is_bounded() -> None:
    data = Ping("a", 1).encode()
    for _ in range(p.NESTING_MAX + 1):
        data = p.make_compound([data])
    with pytest.raises(DecodeError, match="nested"):
        p.decode_packet(data, plain())


def test_errors_never_show_keys() -> None:
    data = p.encode_packet([b"\x08x"], sealed(), False, False)
    other = p.Security(nonce=bytes, ring=Keyring([bytes(16)]))
    with pytest.raises(DecodeError) as caught:
        p.decode_packet(data, other)
    assert str(caught.value) == "No installed keys could decrypt the message"
