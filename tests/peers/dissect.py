# SPDX-License-Identifier: Apache-2.0
"""Prints what lies where in a .pt file: records, extra fields, pickle.

dissect.py FILE... [--pickle] prints for each file one line per record in the
order of the central directory, the gaps between records, the end records, the
content of the small text records, and with --pickle the instructions of
data.pkl. It uses the standard library alone and reads the local headers
itself, because Python's zipfile hides them. Section numbers: docs/formats.md.
"""

import argparse
import mmap
import pickletools
import struct
import zipfile
import zlib

_LOCAL = struct.Struct("<IHHHHHIIIHH")  # 1.3, 30 bytes
_TEXT_RECORDS = (
    ".format_version",
    ".storage_alignment",
    "byteorder",
    "version",
    ".data/version",
    ".data/serialization_id",
)


def extra_fields(extra):
    """The extra fields as text: tag, length, and what is inside."""
    fields = []
    while len(extra) >= 4:
        tag, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if tag == 0x4246:  # FB, the padding of 1.4
            plain = body == b"Z" * size
            fields.append(f"FB[{size}]" + ("" if plain else "=" + body.hex()))
        elif tag == 0x0001:  # zip64, 1.6
            values = struct.unpack(f"<{size // 8}Q", body[: size // 8 * 8])
            fields.append(f"zip64[{size}]={list(values)}")
        else:
            fields.append(f"{tag:04x}[{size}]={body.hex()}")
    if extra:
        fields.append(f"rest={extra.hex()}")
    return " ".join(fields) or "-"


def records(data, archive):
    """Yields (info, data_offset, line) in the order of the directory."""
    for info in archive.infolist():
        at = info.header_offset
        signature, need, flags, method, time, date, crc, packed, size, n, x = (
            _LOCAL.unpack_from(data, at)
        )
        start = at + _LOCAL.size + n + x
        end = start + info.compress_size
        descriptor = _descriptor(data, end) if flags & 8 else "-"
        notes = []
        if signature != 0x04034B50:
            notes.append(f"signature={signature:08x}")
        if data[at + 30 : at + 30 + n] != info.orig_filename.encode():
            notes.append(f"local_name={data[at + 30 : at + 30 + n]!r}")
        if (time, date) != (0, 0):
            notes.append(f"dos={time:04x},{date:04x}")
        if (method, flags) != (info.compress_type, info.flag_bits):
            notes.append(f"central={info.compress_type},{info.flag_bits:04x}")
        if (crc, packed, size) != (0, 0, 0):
            notes.append(f"local={crc:08x},{packed},{size}")
        if info.extra:
            notes.append(f"central_extra: {extra_fields(info.extra)}")
        if info.compress_type == 0:
            real = _crc32(data, start, end)
            if real != info.CRC:
                notes.append(f"real_crc={real:08x}")
        extra = extra_fields(data[at + 30 + n : start])
        line = (
            f"{info.filename!r} header={at} data={start} "
            f"mod64={start % 64} size={info.file_size} "
            f"packed={info.compress_size} method={method} need={need} "
            f"flags={flags:04x} crc={info.CRC:08x} descriptor={descriptor} "
            f"extra: {extra}"
        )
        yield info, start, " ".join([line, *notes])


def _crc32(data, start, end):
    """Of a range, without a copy of it."""
    with memoryview(data) as view, view[start:end] as content:
        return zlib.crc32(content)


def _descriptor(data, at):
    """The length of the data descriptor at `at` (1.5)."""
    if data[at : at + 4] != b"PK\x07\x08":
        return "none"
    for size in (16, 24):
        if data[at + size : at + size + 4] in (b"PK\x03\x04", b"PK\x01\x02"):
            return str(size)
    return "?"


def dissect(path, pickle):
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        zipfile.ZipFile(path) as archive,
    ):
        print(f"== {path}: {len(data)} bytes")
        listed = list(records(data, archive))
        for _, _, line in listed:
            print(line)
        directory = archive.start_dir
        for name, magic, size in (
            ("central directory", b"PK\x01\x02", 46),
            ("zip64 end", b"PK\x06\x06", 56),
            ("zip64 locator", b"PK\x06\x07", 20),
            ("end", b"PK\x05\x06", 22),
        ):
            at = data.find(magic, directory)
            shown = data[at : at + size].hex() if at >= 0 else "none"
            print(f"{name}: offset={at} {shown}")
        for info, start, _ in listed:
            record = info.filename.partition("/")[2]
            if record in _TEXT_RECORDS and info.compress_type == 0:
                print(f"{record} = {data[start : start + info.file_size]!r}")
            if record == "data.pkl" and pickle:
                pickletools.dis(_content(data, info, start))


def _content(data, info, start):
    """The bytes of a record, whatever its stored CRC says."""
    stored = data[start : start + info.compress_size]
    return zlib.decompress(stored, -15) if info.compress_type == 8 else stored


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--pickle", action="store_true")
    options = parser.parse_args()
    for path in options.files:
        dissect(path, options.pickle)


if __name__ == "__main__":
    main()
