"""The REST API below `/api/v1`: JSON over HTTPS, bearer tokens (RFC 6750), problems (RFC 9457), ETags (RFC 9110 §8.8).

How to add operations: a module with a `Router` and a line in `routers.py`. Each operation is given its guard,
`auth=needs(Area.X, Verb.Y)`, which is asked before a byte of the request is parsed; one without is closed. What the
operation changes is recorded as its caller's (`store.acting`).
"""
