"""A whole node in one file under one passphrase: database, KEKs, configuration; made while mail flows, and restored."""
