"""The tables of the libraries behind accounts: migrations of our own that make them as the pinned releases have them.

The libraries' own change and drop what they made before; ours only add, so that one which was cut off is finished by
the next run, and two nodes may begin at once (see `schema_changes`). A test compares them with the models.
"""
