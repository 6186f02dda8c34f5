"""A small writer of compound files ([MS-CFB]), version 3: short streams in the mini stream, long ones in sectors."""

import struct

Tree = dict[str, "bytes | Tree"]

SECTOR, MINI, CUTOFF = 512, 64, 4096
END, FREE, FAT, DIFAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFC
_IN_HEADER, _IN_DIFAT = 109, 127
"""Places of FAT sectors in the header, and in each sector that goes on with them."""
_STORAGE, _STREAM, _ROOT = 1, 2, 5


class _Writer:
    def __init__(self) -> None:
        self.sectors: list[bytes] = []
        self.fat: list[int] = []
        self.mini = bytearray()
        self.mini_fat: list[int] = []
        self.entries: list[list[object]] = [["Root Entry", _ROOT, FREE, FREE, END, 0]]

    def chain(self, data: bytes) -> int:
        count = -(-len(data) // SECTOR)
        first = len(self.sectors)
        for at in range(count):
            self.sectors.append(data[at * SECTOR : (at + 1) * SECTOR].ljust(SECTOR, b"\0"))
            self.fat.append(first + at + 1 if at + 1 < count else END)
        return first if count else END

    def mini_chain(self, data: bytes) -> int:
        count = -(-len(data) // MINI)
        first = len(self.mini_fat)
        self.mini += data.ljust(count * MINI, b"\0")
        self.mini_fat += [first + at + 1 for at in range(count - 1)] + [END] * bool(count)
        return first if count else END

    def add(self, tree: Tree) -> int:
        """The entries of a storage, each the right sibling of the one before; the first one's number."""
        first, before = FREE, None
        for name, value in tree.items():
            number = len(self.entries)
            if isinstance(value, bytes):
                start = self.chain(value) if len(value) >= CUTOFF else self.mini_chain(value)
                self.entries.append([name, _STREAM, FREE, FREE, start, len(value)])
            else:
                self.entries.append([name, _STORAGE, FREE, FREE, 0, 0])
                self.entries[number][3] = self.add(value)
            if before is None:
                first = number
            else:
                self.entries[before][2] = number
            before = number
        return first

    def directory(self) -> bytes:
        out = b""
        for name, kind, right, child, start, size in self.entries:
            octets = str(name).encode("utf-16-le")
            out += octets.ljust(64, b"\0") + struct.pack("<HBBIII", len(octets) + 2, kind, 1, FREE, right, child)
            out += bytes(36) + struct.pack("<IQ", start, size)
        return out


def compound(tree: Tree) -> bytes:
    """A file with these storages (dictionaries) and streams (octets)."""
    writer = _Writer()
    writer.entries[0][3] = writer.add(tree)
    writer.entries[0][4], writer.entries[0][5] = writer.chain(bytes(writer.mini)), len(writer.mini)
    mini_fat_octets = struct.pack(f"<{len(writer.mini_fat)}I", *writer.mini_fat)
    mini_fat_count = -(-len(mini_fat_octets) // SECTOR)
    mini_fat = writer.chain(mini_fat_octets.ljust(mini_fat_count * SECTOR, b"\xff"))
    directory = writer.chain(writer.directory())
    fat_count, difat_count = 1, 0
    while (len(writer.fat) + fat_count + difat_count) * 4 > fat_count * SECTOR:
        fat_count += 1
        difat_count = -(-max(0, fat_count - _IN_HEADER) // _IN_DIFAT)
    first = len(writer.fat)
    places = list(range(first, first + fat_count))
    writer.fat += [FAT] * fat_count + [DIFAT] * difat_count
    fat = struct.pack(f"<{len(writer.fat)}I", *writer.fat).ljust(fat_count * SECTOR, b"\xff")
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIII", 0, fat_count, directory, 0, CUTOFF, mini_fat, mini_fat_count)
    header += struct.pack("<II", first + fat_count if difat_count else END, difat_count)
    header += struct.pack("<109I", *(places[:_IN_HEADER] + [FREE] * (_IN_HEADER - fat_count)))
    difat = b""
    for number in range(difat_count):
        some = places[_IN_HEADER + number * _IN_DIFAT :][:_IN_DIFAT]
        after = first + fat_count + number + 1 if number + 1 < difat_count else END
        difat += struct.pack("<128I", *some, *[FREE] * (_IN_DIFAT - len(some)), after)
    return header + b"".join(writer.sectors) + fat + difat
