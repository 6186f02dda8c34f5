"""RC2 against the vectors of RFC 2268 §5 and, at 128 bits, against OpenSSL's."""

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from hypothesis import given
from hypothesis import strategies as st

from mailseal.smime import rc2


@pytest.mark.parametrize(
    ("key", "bits", "plain", "cipher"),
    [
        ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
        ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
        ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
        ("88", 64, "0000000000000000", "61a8a244adacccf0"),
        ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
        ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
        ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
        (
            "88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000",
            "5b78d3a43dfff1f1",
        ),
    ],
)  # fmt: skip
def test_vectors_of_the_rfc(key, bits, plain, cipher):
    # The first block of CBC with an IV of zeros is that of ECB.
    found = rc2.decrypt_cbc(bytes.fromhex(key), bits, bytes(8), bytes.fromhex(cipher))
    assert found == bytes.fromhex(plain)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.integers(0, 5), st.randoms())
def test_chained_blocks_as_openssl_has_them(key, iv, blocks, random):
    ciphertext = random.randbytes(8 * blocks)
    expected = Cipher(RC2(key), modes.CBC(iv)).decryptor().update(ciphertext)
    assert rc2.decrypt_cbc(key, 128, iv, ciphertext) == expected


@pytest.mark.parametrize(
    ("key", "bits", "iv", "ciphertext"),
    [(0, 40, 8, 8), (129, 40, 8, 8), (5, 0, 8, 8), (5, 1025, 8, 8), (5, 40, 7, 8), (5, 40, 8, 9)],
)
def test_sizes_that_rc2_does_not_have(key, bits, iv, ciphertext):
    with pytest.raises(ValueError, match="RC2 has"):
        rc2.decrypt_cbc(bytes(key), bits, bytes(iv), bytes(ciphertext))
