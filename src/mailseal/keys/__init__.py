"""Private keys behind sign and decrypt, and the sealing of secrets at rest."""

from cryptography.hazmat.primitives.asymmetric import ec, rsa

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""The one interface of a private key: the abstract classes of `cryptography`; a token key subclasses them."""
