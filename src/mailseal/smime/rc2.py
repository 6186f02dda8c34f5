"""RC2 (RFC 2268) in CBC mode, decryption only: what older programs wrote into PKCS#12 files and mail.

Only for reading; `cryptography` has none below 128 effective bits. Blocks go through side by side, as lanes of large
integers; still it takes half a second for a MiB: bound what goes in.
"""

import struct

BLOCK_OCTETS = 8
_BLOCKS_AT_ONCE = 4096

# RFC 2268 §2: a permutation of the octets made of the digits of pi.
_PI = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)


def decrypt_cbc(key: bytes, effective_bits: int, iv: bytes, ciphertext: bytes) -> bytes:
    """The padded plaintext. Raises ValueError for a key, IV or ciphertext of a size that RC2 does not have."""
    if not 1 <= len(key) <= 128 or not 1 <= effective_bits <= 1024:
        raise ValueError("RC2 has keys of 1 to 128 octets and 1 to 1024 bits")
    if len(iv) != BLOCK_OCTETS or len(ciphertext) % BLOCK_OCTETS:
        raise ValueError("RC2 has blocks of 8 octets")
    words = _expanded(key, effective_bits)
    step = _BLOCKS_AT_ONCE * BLOCK_OCTETS
    plain = b"".join(_decrypted(words, ciphertext[at : at + step]) for at in range(0, len(ciphertext), step))
    before = (iv + ciphertext)[: len(plain)]
    mixed = int.from_bytes(plain, "little") ^ int.from_bytes(before, "little")
    return mixed.to_bytes(len(plain), "little")


def _expanded(key: bytes, effective_bits: int) -> tuple[int, ...]:
    """RFC 2268 §2: 64 words."""
    length = len(key)
    octets = bytearray(key)
    for at in range(length, 128):
        octets.append(_PI[(octets[at - 1] + octets[at - length]) & 0xFF])
    strong = (effective_bits + 7) // 8
    octets[128 - strong] = _PI[octets[128 - strong] & (0xFF >> (8 * strong - effective_bits))]
    for at in range(127 - strong, -1, -1):
        octets[at] = _PI[octets[at + 1] ^ octets[at + strong]]
    return struct.unpack("<64H", octets)


def _decrypted(words: tuple[int, ...], blocks: bytes) -> bytes:
    """RFC 2268 §4: five rounds of mixing, one of mashing, six, one, five; backwards, on all blocks at once.

    Each of the four words of a block is a lane of 32 bits, so that neither a shift nor a sum reaches the next one.
    """
    count = len(blocks) // BLOCK_OCTETS
    given = struct.unpack(f"<{4 * count}H", blocks)
    lanes = struct.Struct(f"<{count}I")
    a, b, c, d = (int.from_bytes(lanes.pack(*given[at::4]), "little") for at in range(4))
    ones = int.from_bytes(b"\1\0\0\0" * count, "little")
    low = 0xFFFF * ones

    def mixed(word: int, left: int, key: int, one: int, two: int, three: int) -> int:
        turned = (word << left | word >> 16 - left) & low
        # What is added to each lane is a multiple of what the lane is cut to; it keeps the difference positive.
        return turned + (0x30000 - key) * ones - (one & two) - (three ^ (three & one)) & low

    def mashed(word: int, index: int) -> int:
        chosen = (words[one & 63] for one in lanes.unpack(index.to_bytes(lanes.size, "little")))
        return word + 0x10000 * ones - int.from_bytes(lanes.pack(*chosen), "little") & low

    for turn in range(15, -1, -1):
        k0, k1, k2, k3 = words[4 * turn : 4 * turn + 4]
        d = mixed(d, 11, k3, c, b, a)
        c = mixed(c, 13, k2, b, a, d)
        b = mixed(b, 14, k1, a, d, c)
        a = mixed(a, 15, k0, d, c, b)
        if turn in {11, 5}:
            d = mashed(d, c)
            c = mashed(c, b)
            b = mashed(b, a)
            a = mashed(a, d)
    found = [0] * (4 * count)
    for at, word in enumerate((a, b, c, d)):
        found[at::4] = lanes.unpack(word.to_bytes(lanes.size, "little"))
    return struct.pack(f"<{4 * count}H", *found)
