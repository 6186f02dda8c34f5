"""The REST API under /api/v1: the store's plain functions over HTTP, with tokens, pages by key and RFC 9457 errors."""
