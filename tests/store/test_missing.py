"""The sentinel for what is not there."""

from __future__ import annotations

import copy
import pickle

from replicell.store import MISSING, MissingType


def test_it_is_falsy_and_says_its_name() -> None:
    assert not MISSING
    assert repr(MISSING) == "MISSING"


def test_there_is_only_one_of_it_whatever_is_done_to_it() -> None:
    assert copy.copy(MISSING) is MISSING
    assert copy.deepcopy([MISSING])[0] is MISSING
    assert type(MISSING) is MissingType
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(MISSING, protocol)) is MISSING
