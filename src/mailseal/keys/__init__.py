"""Private keys behind sign and decrypt, and the sealing of secrets at rest."""

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | x25519.X25519PrivateKey
    | x448.X448PrivateKey
)
"""The one interface of a private key: the abstract classes of `cryptography`; a token key subclasses them."""
