"""The only composition of the parts: which port is served by what."""
