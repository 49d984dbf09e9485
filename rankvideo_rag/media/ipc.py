"""Messages between this process and its decoder processes: a length, a JSON header, then the bytes of arrays. No pickle.

    8 bytes, big endian: length of the header | header: UTF-8 JSON | bytes of each array, in the header's order

The "arrays" of a header lists name, dtype and shape of each array.
"""

import json
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MAX_HEADER_BYTES = 64 << 20  # enough for 100,000 subtitle cues
_LENGTH_BYTES = 8
_DTYPES = ("|u1", "<f4", "<f8")  # uint8, float32, float64, little endian


class DecoderResult(NamedTuple):
    """What a function that runs in the decoder process returns."""

    value: dict[str, Any]  # JSON-serialisable
    arrays: dict[str, Array] = {}  # noqa: RUF012  (never changed)


class BadMessage(ValueError):
    """Bytes that do not follow the message format."""


def pack(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[bytes | memoryview]:
    """Return the buffers to write, in order. Contiguous arrays are not copied."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    layout = [{"name": name, "dtype": array.dtype.str, "shape": array.shape} for name, array in contiguous.items()]
    text = json.dumps({**header, "arrays": layout}).encode()
    bodies = [array.reshape(-1).view(np.uint8).data for array in contiguous.values() if array.size]
    return [len(text).to_bytes(_LENGTH_BYTES, "big"), text, *bodies]


def unpack(read_exactly: Callable[[int], bytearray], max_bytes: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read one message with `read_exactly(n)`, which returns n bytes: its header and its arrays of at most `max_bytes`.

    Raises BadMessage if the message breaks the format or exceeds the limit.
    """
    size = int.from_bytes(read_exactly(_LENGTH_BYTES), "big")
    if size > MAX_HEADER_BYTES:
        raise BadMessage(f"a header of {size} bytes")
    try:
        header = json.loads(read_exactly(size))
        layout = [(str(a["name"]), np.dtype(a["dtype"]), tuple(map(int, a["shape"]))) for a in header.pop("arrays")]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadMessage(f"an invalid header: {error}") from error
    if not all(dtype.str in _DTYPES and min(shape, default=0) >= 0 for _, dtype, shape in layout):
        raise BadMessage(f"arrays of unknown type or shape: {layout}")
    if sum(dtype.itemsize * prod(shape) for _, dtype, shape in layout) > max_bytes:
        raise BadMessage(f"arrays of more than {max_bytes} bytes")
    return header, {
        name: np.frombuffer(read_exactly(dtype.itemsize * prod(shape)), dtype).reshape(shape) for name, dtype, shape in layout
    }
