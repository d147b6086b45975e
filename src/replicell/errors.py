"""The root of every exception that replicell raises on purpose.

Each layer hangs its own small tree below it::

    ReplicellError
    ├── StoreError        (replicell.store)
    ├── PersisterError    (replicell.persisters)
    ├── SyncError         (replicell.sync)
    └── AppError          (replicell.app)
"""

__all__ = ["ReplicellError"]


class ReplicellError(Exception):
    """Base of all errors raised by replicell, so that one ``except`` can catch them.

    Its message names what was wrong, the rule it broke and what to do next.
    """
