"""Access the fields of the messages in an ONNX model; only known fields are accepted.

References
----------
onnx.proto3 of ONNX 1.17, for the numbers of the fields.
"""

from __future__ import annotations

import struct

from streamsed.inference.graph.wire import (
    BYTES,
    FIXED32,
    VARINT,
    Field,
    read_fields,
    signed,
)


def decode_text(raw: bytes, what: str) -> str:
    """Decode UTF-8; `what` names the message in the error."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError(f"its {what} has a name that is not UTF-8") from None


def _fields(once: str, often: str = "") -> tuple[frozenset[int], frozenset[int]]:
    return tuple(  # type: ignore[return-value]
        frozenset(int(each.split()[0]) for each in fields.split(",") if each)
        for fields in (once, often)
    )


_FIELDS = {
    "model": _fields(
        "1 ir_version, 2 producer_name, 3 producer_version, 4 domain, "
        "5 model_version, 6 doc_string, 7 graph",
        "8 opset_import, 14 metadata_props",
    ),
    "opset": _fields("1 domain, 2 version"),
    "graph": _fields(
        "2 name, 10 doc_string",
        "1 node, 5 initializer, 11 input, 12 output, 13 value_info, 16 metadata_props",
    ),
    "node": _fields(
        "3 name, 4 op_type, 6 doc_string, 7 domain",
        "1 input, 2 output, 5 attribute, 9 metadata_props",
    ),
    "attribute": _fields(
        "1 name, 2 f, 3 i, 4 s, 13 doc_string, 20 type", "7 floats, 8 ints"
    ),
    "tensor": _fields(
        "2 data_type, 8 name, 9 raw_data, 12 doc_string",
        "1 dims, 4 float_data, 5 int32_data, 7 int64_data",
    ),
    "value": _fields("1 name, 2 type, 3 doc_string", "4 metadata_props"),
    "type": _fields("1 tensor_type, 6 denotation"),
    "tensor type": _fields("1 elem_type, 2 shape"),
    "shape": _fields("", "1 dim"),
    "dimension": _fields("1 dim_value"),
}
"""For each message, the fields that may occur once, and those that may be repeated."""


class MessageFields:
    """The fields of a message by number, after checking that they are allowed.

    Parameters
    ----------
    message : memoryview
        Its bytes.
    kind : str
        One of `_FIELDS`.

    Raises
    ------
    ValueError
        A field is not allowed, or occurs more often than allowed.
    """

    __slots__ = ("_by_number", "_what")

    def __init__(self, message: memoryview, kind: str) -> None:
        self._what = kind
        single, repeated = _FIELDS[kind]
        self._by_number: dict[int, list[Field]] = {}
        for field in read_fields(message):
            number = field[0]
            if number in repeated:
                self._by_number.setdefault(number, []).append(field)
            elif number in single and number not in self._by_number:
                self._by_number[number] = [field]
            else:
                raise ValueError(
                    f"its graph's {kind} has a field that it must not have ({number})"
                )

    def __contains__(self, number: int) -> bool:
        return number in self._by_number

    def all(self, number: int) -> list[Field]:
        """Return all fields of a number."""
        return self._by_number.get(number, [])

    def messages(self, number: int) -> list[memoryview]:
        """Return the contents of the fields of a number, such as nested messages."""
        found = []
        for _, kind, _, content in self.all(number):
            if kind != BYTES:
                raise ValueError(
                    f"its graph's {self._what} has a field of another kind ({number})"
                )
            found.append(content)
        return found

    def bytes(self, number: int) -> bytes:
        """Return the content of a field, b"" if it is missing."""
        found = self.messages(number)
        return bytes(found[0]) if found else b""

    def text(self, number: int) -> str:
        """Return the text of a field, "" if it is missing."""
        return decode_text(self.bytes(number), self._what)

    def number(self, number: int) -> int:
        """Return the signed integer of a field, 0 if it is missing."""
        for _, kind, value, _ in self.all(number):
            if kind != VARINT:
                raise ValueError(
                    f"its graph's {self._what} has a field of another kind ({number})"
                )
            return signed(value)
        return 0

    def floats(self, number: int) -> tuple[float, ...]:
        """Return the numbers of a repeated float field, packed or not."""
        found = b""
        for _, kind, _, content in self.all(number):
            if kind not in (BYTES, FIXED32) or len(content) % 4:
                raise ValueError(
                    f"its graph's {self._what} has a field of another kind ({number})"
                )
            found += bytes(content)
        return struct.unpack(f"<{len(found) // 4}f", found)
