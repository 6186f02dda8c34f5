"""What the end-to-end stories stand on: a private Postfix, sinks, a real gateway; all on loopback."""
