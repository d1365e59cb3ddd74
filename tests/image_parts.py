"""Image files that pillow does not write, byte by byte."""

import struct
import zlib

import numpy as np


def tiff(values, *, bits=16, white_is_zero=False, order="<", packed=False, **tags):
    """A TIFF file of grey values, in one strip; tags by number, as tag_339=2."""
    values = np.asarray(values)
    kind = "f" if values.dtype.kind == "f" else "iu"[values.dtype.kind == "u"]
    data = values.astype(f"{order}{kind}{max(8, bits) // 8}").tobytes()
    if bits == 12:  # two values in three bytes
        pairs = values.reshape(-1, 2).astype(int)
        data = b"".join((a << 12 | b).to_bytes(3, "big") for a, b in pairs.tolist())
    data = zlib.compress(data) if packed else data
    height, width = values.shape
    entries = {
        256: width,
        257: height,
        258: bits,
        259: 8 if packed else 1,
        262: 0 if white_is_zero else 1,
        273: 8,  # where the pixels begin
        277: 1,
        278: height,
        279: len(data),
    } | {int(name.removeprefix("tag_")): value for name, value in tags.items()}
    data += b"\0" * (len(data) % 2)
    file = b"II*\0" if order == "<" else b"MM\0*"
    file += struct.pack(f"{order}I", 8 + len(data)) + data
    file += struct.pack(f"{order}H", len(entries))
    for tag, value in sorted(entries.items()):
        file += struct.pack(f"{order}HHII", tag, 4, 1, value)
    return file + bytes(4)


def png(values, colour_type, *, bits=16, transparent=b""):
    """A PNG file of one row of pixels, of any number of bits up to 16."""

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    values = np.asarray(values)
    row = b"\0" + values.astype(">u2" if bits == 16 else "u1").tobytes()
    header = struct.pack(">IIBBBBB", len(values), 1, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"tRNS", transparent) if transparent else b"")
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )
