"""``replicell todo``: a todo list in the terminal, on replicell's public API alone.

``model`` is the list on a store, ``session`` opens its database and connects it, ``app`` shows it.
"""
