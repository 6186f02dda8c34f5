"""The processes of a running gateway: the supervisor and the roles that it starts by exec."""
