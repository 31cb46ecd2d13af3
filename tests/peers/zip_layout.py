# SPDX-License-Identifier: Apache-2.0
"""Every byte of a .pt file but its payload, by docs/formats.md 1.3 to 1.7.

An implementation apart from Caisson's and torch's: headers, padding,
descriptors, directory and end records are made again from the names, sizes and
CRCs in the directory, and must be what the file has. Works on files of any
size, as no payload is read.
"""

import struct
import zipfile
from dataclasses import dataclass

_LIMIT = 0xFFFFFFFF  # from here on a value moves to the zip64 field


@dataclass
class Place:
    """Where a record lies."""

    header: int
    data: int
    end: int  # of its payload


def layout_problem(path, alignment=64, computed_crc=True):
    """What is not as formats.md says, None if nothing. Stored records only."""
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        cursor = 0
        central = []
        for info in archive.infolist():
            header, place = _local(info, cursor, alignment)
            problem = (
                _info_problem(info, cursor, computed_crc)
                or _bytes_problem(file, cursor, header, "local header")
                or _bytes_problem(
                    file, place.end, _descriptor(info, cursor), "descriptor"
                )
            )
            if problem:
                return f"{info.filename}: {problem}"
            central.append(_central(info, cursor))
            cursor = place.end + len(_descriptor(info, cursor))
        tail = b"".join(central)
        tail += _end(len(central), len(tail), cursor)
        problem = _bytes_problem(file, cursor, tail, "directory")
        if problem:
            return problem
        file.seek(0, 2)
        if file.tell() != cursor + len(tail):
            return f"{file.tell() - cursor - len(tail)} bytes after the end"
    return None


def places_of(path):
    """{record name without its folder: Place}, from the file itself."""
    places = {}
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            data = info.header_offset + 30 + name + extra
            places[info.filename.partition("/")[2]] = Place(
                info.header_offset, data, data + info.compress_size
            )
    return places


def zip64_field(size, header, packed):
    """The zip64 extra field of 1.6; empty where nothing overflows."""
    body = b""
    if size >= _LIMIT:
        body += struct.pack("<QQ", size, packed)
    if header >= _LIMIT:
        body += struct.pack("<Q", header)
    return struct.pack("<HH", 1, len(body)) + body if body else b""


def _flags(info):
    return 0x0808 if info.file_size else 0x0800


def _local(info, cursor, alignment):
    name = info.filename.encode()
    zip64 = zip64_field(info.file_size, cursor, 0)
    start = cursor + 30 + len(name) + len(zip64) + 4
    pad = -start % alignment
    extra = zip64 + struct.pack("<2sH", b"FB", pad) + b"Z" * pad
    header = struct.pack(
        "<IHHHHHIIIHH", 0x04034B50, 0, _flags(info), 0, 0, 0, 0, 0, 0,
        len(name), len(extra),
    )
    data = start + pad
    place = Place(cursor, data, data + info.file_size)
    return header + name + extra, place


def _descriptor(info, cursor):
    size = info.file_size
    if size == 0:
        return b""
    form = "<IIQQ" if size >= _LIMIT or cursor >= _LIMIT else "<IIII"
    return struct.pack(form, 0x08074B50, info.CRC, size, size)


def _central(info, cursor):
    name = info.filename.encode()
    size = info.file_size
    extra = zip64_field(size, cursor, size)
    return (
        struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 0, 0, _flags(info), 0, 0, 0,
            info.CRC, min(size, _LIMIT), min(size, _LIMIT), len(name),
            len(extra), 0, 0, 0, 0, min(cursor, _LIMIT),
        )
        + name
        + extra
    )


def _end(count, size, offset):
    return (
        struct.pack(
            "<IQHHIIQQQQ", 0x06064B50, 44, 0x031E, 0x002D, 0, 0, count, count,
            size, offset,
        )
        + struct.pack("<IIQI", 0x07064B50, 0, offset + size, 1)
        + struct.pack(
            "<IHHHHIIH", 0x06054B50, 0, 0, min(count, 0xFFFF),
            min(count, 0xFFFF), size, min(offset, _LIMIT), 0,
        )
    )


def _info_problem(info, cursor, computed_crc):
    """What Python's zipfile makes of a record."""
    expected = {
        "header_offset": cursor,
        "compress_size": info.file_size,
        "compress_type": zipfile.ZIP_STORED,
        "flag_bits": _flags(info),
        "date_time": (1980, 0, 0, 0, 0, 0),
        "create_version": 0,
        "extract_version": 0,
        "internal_attr": 0,
        "external_attr": 0,
        "extra": zip64_field(info.file_size, cursor, info.file_size),
        "comment": b"",
    }
    for name, value in expected.items():
        if getattr(info, name) != value:
            return f"{name}: expected {value}, found {getattr(info, name)}"
    if not computed_crc and info.CRC != 0:
        return f"CRC: expected 0, found {info.CRC:08x}"
    return None


def _bytes_problem(file, at, expected, what):
    file.seek(at)
    found = file.read(len(expected))
    if found == expected:
        return None
    return f"{what} at {at}: expected {expected.hex()}, found {found.hex()}"
