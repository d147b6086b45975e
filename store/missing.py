"""The sentinel for "not there", which JavaScript calls ``undefined``."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, Literal, final

__all__ = ["MISSING", "MissingType"]

if TYPE_CHECKING:
    # Type checkers narrow `x is MISSING` only for members of an enum.
    class MissingType(enum.Enum):
        """The type of `MISSING`."""

        MISSING = "MISSING"

        def __bool__(self) -> Literal[False]: ...

    MISSING: Final = MissingType.MISSING
else:

    @final
    class MissingType:
        """The type of `MISSING`, of which there is one instance.

        It is falsy, and stays the same object through copy, deepcopy and pickle.

        >>> bool(MISSING), MissingType() is MISSING
        (False, True)
        """

        # Without slots its instance would be tracked by the garbage collector, and so would be
        # each of the many dicts in a transaction's record that hold it.
        __slots__ = ()

        def __new__(cls) -> MissingType:
            return _instance

        def __bool__(self) -> Literal[False]:
            return False

        def __repr__(self) -> str:
            return "MISSING"

        def __reduce__(self) -> str:
            return "MISSING"

        def __copy__(self) -> MissingType:
            return self

        def __deepcopy__(self, memo: object) -> MissingType:
            return self

    _instance = object.__new__(MissingType)
    MISSING = _instance
