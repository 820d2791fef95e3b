"""LZW as GIF has it: codes packed from the lowest bit, 8 bit literals, codes of 9 to 12 bits, 256 clears, 257 ends.

The encoder writes the codes that Go's compress/lzw writes, so packets equal those of real agents byte for byte.
"""

from __future__ import annotations

from pyconsul.errors import DecodeError

CLEAR = 256
END = 257
WIDTH_MAX = 12
_LITERALS = [bytes((value,)) for value in range(256)]


def compress(data: bytes) -> bytes:
    output = bytearray()
    bits = 0
    count = 0
    width = 9
    high = END
    table: dict[int, int] = {}

    def emit(code: int) -> None:
        nonlocal bits, count
        bits |= code << count
        count += width
        while count >= 8:
            output.append(bits & 0xFF)
            bits >>= 8
            count -= 8

    def advance() -> bool:
        """Counts the code just emitted; True when the table was full and is empty again."""
        nonlocal high, width
        high += 1
        if high == 1 << width:
            width += 1
        if high == (1 << WIDTH_MAX) - 1:
            emit(CLEAR)
            width = 9
            high = END
            table.clear()
            return True
        return False

    emit(CLEAR)
    if data:
        current = data[0]
        for index in range(1, len(data)):
            byte = data[index]
            key = current << 8 | byte
            known = table.get(key)
            if known is not None:
                current = known
                continue
            emit(current)
            current = byte
            if not advance():
                table[key] = high
        emit(current)
        advance()
    emit(END)
    if count:
        output.append(bits & 0xFF)
    return bytes(output)


def decompress(data: bytes, size_max: int) -> bytes:
    """Raises DecodeError on bad codes, a missing end code, or more than ``size_max`` bytes of output."""
    pieces: list[bytes] = []
    size = 0
    bits = 0
    count = 0
    width = 9
    high = END
    last: bytes | None = None
    table: dict[int, bytes] = {}
    position = 0
    length = len(data)
    while True:
        while count < width:
            if position == length:
                raise DecodeError("compressed data cut short")
            bits |= data[position] << count
            position += 1
            count += 8
        code = bits & ((1 << width) - 1)
        bits >>= width
        count -= width
        if code < CLEAR:
            text = _LITERALS[code]
        elif code == CLEAR:
            width, high, last, table = 9, END, None, {}
            continue
        elif code == END:
            return b"".join(pieces)
        else:
            found = table.get(code)
            if found is not None:
                text = found
            elif code == high and last is not None:
                text = last + last[:1]
            else:
                raise DecodeError(f"bad compressed code {code}")
        size += len(text)
        if size > size_max:
            raise DecodeError(f"more than {size_max} bytes of compressed data")
        pieces.append(text)
        if last is not None:
            table[high] = last + text[:1]
        last = text
        high += 1
        if high >= 1 << width:
            if width == WIDTH_MAX:
                last = None
                high -= 1
            else:
                width += 1
