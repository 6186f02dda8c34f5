"""DKIM (RFC 6376, RFC 8463), ARC (RFC 8617) and Authentication-Results (RFC 8601)."""
