"""Decode the fields of a protocol buffer message.

A message is a sequence of fields: a key (number and wire type), then a value. This module
only decodes the bytes; `streamsed.inference.graph.fields` defines which fields a message
may have.

References
----------
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterable

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10
"""Maximum length of a 64-bit varint, in bytes."""

Field = tuple[int, int, int, memoryview]
"""Number, wire type, and value: of a varint in the third item, of others in the fourth."""

_NONE = memoryview(b"")


def read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return an unsigned integer and the position after it.

    Raises
    ------
    ValueError
        The message ends within it, or it has more than 64 bits.

    Examples
    --------
    >>> read_varint(memoryview(bytes.fromhex("ac02")), 0)
    (300, 2)
    """
    if at < len(message) and message[at] < 0x80:  # the most frequent case
        return message[at], at + 1
    number = 0
    for i, byte in enumerate(message[at : at + _MAX_VARINT]):
        number |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if number >> 64:
                break
            return number, at + i + 1
    raise ValueError("its graph has a number that is truncated or too long")


def signed(number: int) -> int:
    """Return a 64-bit varint as a signed integer.

    Examples
    --------
    >>> signed(2**64 - 1)
    -1
    """
    return number - (1 << 64) if number >> 63 else number


def read_fields(message: memoryview) -> list[Field]:
    """Split a message into its fields.

    Raises
    ------
    ValueError
        The bytes are not a message.
    """
    fields: list[Field] = []
    at, end = 0, len(message)
    while at < end:
        key, at = read_varint(message, at)
        number, kind = key >> 3, key & 7
        value, content = 0, _NONE
        if kind == VARINT:
            value, at = read_varint(message, at)
        elif kind in (BYTES, FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
            if kind == BYTES:
                length, at = read_varint(message, at)
            content, at = message[at : at + length], at + length
            if at > end:
                raise ValueError("its graph is truncated")
        else:
            raise ValueError("its graph is not a protocol buffer message")
        fields.append((number, kind, value, content))
    return fields


def read_numbers(fields: Iterable[Field]) -> list[int]:
    """Return the signed integers of a repeated field, packed or not."""
    numbers = []
    for _, kind, value, content in fields:
        if kind == VARINT:
            numbers.append(signed(value))
            continue
        if kind != BYTES:
            raise ValueError("its graph has a list of numbers of another kind")
        at = 0
        while at < len(content):
            number, at = read_varint(content, at)
            numbers.append(signed(number))
    return numbers
