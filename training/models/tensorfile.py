"""Files of tensors, checked before a tensor is read: safetensors, and pickled state dicts as tensors only."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.issues import InputError, error

MAX_HEADER_BYTES = 100 * 2**20
"""Longest safetensors header, as the format itself limits it."""

CHECKSUM = "sha256"
"""Key of a header's checksum."""

_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How files of torch.save begin: a zip archive with a pickle, or a bare pickle of protocol 2 to 5."""

_CONVERT = (
    "Pickled files can run programs, so they are not opened as checkpoints. Weights under the authors' names are "
    "converted by `python -m training.models.convert IN OUT.safetensors`, which reads tensors only."
)
_COPY_AGAIN = "Download or copy the file again."
_SAFETENSORS = "Give a .safetensors file."


def refused(code: str, fact: str, way_out: str, path: Path) -> InputError:
    """Return the error that refuses ``path``; the caller raises it."""
    return InputError(error(code, fact, way_out, file=path.name))


def is_pickle(path: Path) -> bool:
    """Return True if the file begins as torch.save's files do."""
    with path.open("rb") as stream:
        return stream.read(8).startswith(_PICKLE_STARTS)


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write tensors (contiguous, on the CPU) and text as a safetensors file.

    Raises
    ------
    OSError
        If the disk is full or the place cannot be written; the library itself tells it by another kind of error.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, metadata=header)
    except SafetensorError as failure:
        number = re.search(r"\(os error (\d+)\)", str(failure))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), path.name) from failure


def read_any_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of a pickled state dict read with ``weights_only``.

    A state dict may lie under ``"state_dict"`` or ``"params"`` of a larger dictionary.

    Raises
    ------
    InputError
        If the file is missing or damaged, or holds anything but tensors and plain values.
    """
    if not path.is_file() or not is_pickle(path):
        read_header(path)
        return read_tensors(path)
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as reason:
        fact = "it holds more than tensors, or is damaged; it was not opened."
        raise refused("weights-unsafe", fact, "Save the model's state_dict() alone and give that.", path) from reason
    for key in ("state_dict", "params"):
        data = data.get(key, data) if isinstance(data, dict) else data
    if not isinstance(data, dict) or not data or not all(isinstance(v, Tensor) for v in data.values()):
        way_out = "Save the model's state_dict() alone and give that."
        raise refused("weights-format", "it holds no state dict.", way_out, path)
    return {str(k): v for k, v in data.items()}


def read_header(path: Path) -> dict[str, Any]:
    """Return the JSON header of a safetensors file after checking that the file is one and is complete.

    The file begins with the header's length (8 bytes, little endian); tensors lie behind it at ``data_offsets``.
    """
    if not path.is_file():
        raise refused("checkpoint-missing", "there is no such file.", "Check the path.", path)
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        if start.startswith(_PICKLE_STARTS):
            raise refused("checkpoint-pickle", "this is a pickle, not a safetensors file.", _CONVERT, path)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > MAX_HEADER_BYTES:
            raise refused("checkpoint-format", "this is not a safetensors file.", _SAFETENSORS, path)
        text = stream.read(length)
    if len(text) < length:
        raise _truncated(path)
    try:
        header: dict[str, Any] = json.loads(text)
        end = max((int(v["data_offsets"][1]) for k, v in header.items() if k != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as reason:
        raise refused("checkpoint-format", "its safetensors header is damaged.", _SAFETENSORS, path) from reason
    if size < 8 + length + end:
        raise _truncated(path)
    return header


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file that :func:`read_header` accepted."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as reason:
        raise refused("checkpoint-format", f"its tensors cannot be read ({reason}).", _COPY_AGAIN, path) from reason
    return tensors


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sealed(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the header with the checksum by which :func:`is_whole` knows that neither it nor a tensor has changed."""
    return {**header, CHECKSUM: _digest(header, tensors)}


def is_whole(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> bool:
    """Return False if a header of :func:`sealed` does not match; one without a checksum is taken as it is."""
    return CHECKSUM not in header or header[CHECKSUM] == _digest(header, tensors)


def _digest(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values of all tensors, and of the header but the digest itself."""
    digest = hashlib.sha256(json.dumps({k: v for k, v in header.items() if k != CHECKSUM}, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _truncated(path: Path) -> InputError:
    return refused("checkpoint-truncated", "the file is cut off.", _COPY_AGAIN, path)
