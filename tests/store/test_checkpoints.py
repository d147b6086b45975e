"""Checkpoints: undo and redo, whatever happens in between."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import (
    CheckpointIds,
    Checkpoints,
    Store,
    WriteForbiddenError,
    create_checkpoints,
    create_middleware,
)


def aged(*ages: int) -> tuple[Store, Checkpoints]:
    """A store in which a cell was set to each of some ages, with a checkpoint after each."""
    store = Store()
    checkpoints = create_checkpoints(store)
    for age in ages:
        store.set_cell("pets", "fido", "age", age)
        checkpoints.add_checkpoint()
    return store, checkpoints


def age(store: Store) -> Any:
    return store.get_cell("pets", "fido", "age")


def test_back_and_forward_are_inverse() -> None:
    _, checkpoints = aged(1, 2, 3)
    assert [age(checkpoints.go_backward().get_store()) for _ in range(4)] == [2, 1, None, None]
    assert [age(checkpoints.go_forward().get_store()) for _ in range(4)] == [1, 2, 3, 3]


def test_what_is_pending_is_kept_for_going_forward() -> None:
    store, checkpoints = aged(1)
    store.set_cell("pets", "fido", "age", 9)
    assert checkpoints.get_checkpoint_ids() == CheckpointIds(["0", "1"], None, [])
    assert age(checkpoints.go_backward().get_store()) == 1
    assert checkpoints.get_checkpoint_ids() == (["0"], "1", ["2"])
    assert age(checkpoints.go_forward().get_store()) == 9


def test_objects_rows_tables_and_values_come_back_as_they_were() -> None:
    store, checkpoints = aged(1)
    store.set_row("pets", "rex", {"tags": ["good", {"very": None}], "sold": False})
    store.set_values({"open": True, "hours": [9, 17]})
    checkpoints.add_checkpoint()
    before = store.get_content()
    store.del_tables().set_row("cats", "felix", {"age": 2}).del_value("hours").set_value("open", None)
    after = store.get_content()
    assert checkpoints.go_backward().get_store().get_content() == before
    assert checkpoints.go_forward().get_store().get_content() == after


def test_undo_is_one_transaction_that_listeners_hear_of_and_checkpoints_do_not() -> None:
    store, checkpoints = aged(1)
    with store.transaction():
        for number in range(5):
            store.set_cell("pets", f"r{number}", "age", number)
    checkpoints.add_checkpoint()
    told: list[Any] = []
    store.add_tables_listener(lambda store, change: told.append("tables"))
    store.add_cell_listener(
        None, None, None, lambda store, *ids: store.set_value("seen", ids[1]), mutator=True
    )
    checkpoints.go_backward()
    assert told == ["tables"]
    assert store.get_value("seen") == "r4"
    assert checkpoints.get_checkpoint_ids() == (["0"], "1", ["2"])


def test_middleware_is_not_asked() -> None:
    store, checkpoints = aged(1, 2)
    create_middleware(store).add_will_set_cell_callback(lambda *args: 99)
    assert age(checkpoints.go_backward().get_store()) == 1


def test_what_a_new_schema_forbids_does_not_come_back() -> None:
    store, checkpoints = aged(1)
    store.set_row("pets", "rex", {"age": 3, "name": "Rex"})
    checkpoints.add_checkpoint()
    store.del_row("pets", "rex")
    checkpoints.add_checkpoint()
    store.set_tables_schema(
        {"pets": {"age": {"type": "number"}, "sold": {"type": "boolean", "default": False}}}
    )
    checkpoints.add_checkpoint()
    checkpoints.go_to("2")
    assert store.get_row("pets", "rex") == {"age": 3, "sold": False}


def test_a_failing_listener_of_somebody_else_keeps_nothing_from_being_undone() -> None:
    store, checkpoints = aged(1)

    def fail(*args: Any) -> None:
        raise RuntimeError("failed")

    listener_id = store.add_cell_listener("pets", "r1", "age", fail)
    with pytest.raises(RuntimeError, match="failed"), store.transaction():
        for number in range(3):
            store.set_cell("pets", f"r{number}", "age", number)
        store.set_value("open", True)
    store.del_listener(listener_id)
    checkpoints.add_checkpoint()
    checkpoints.go_backward()
    assert store.get_content() == ({"pets": {"fido": {"age": 1}}}, {})


def test_an_undo_that_is_undone_leaves_the_checkpoints_as_they_were() -> None:
    store, checkpoints = aged(1, 2)

    def fail(*args: Any) -> None:
        raise RuntimeError("failed")

    listener_id = store.add_will_finish_transaction_listener(fail)
    for travel in (checkpoints.go_backward, lambda: checkpoints.go_to("0")):
        with pytest.raises(RuntimeError, match="failed"):
            travel()
        assert (age(store), checkpoints.get_checkpoint_ids()) == (2, (["0", "1"], "2", []))
    store.del_listener(listener_id)
    checkpoints.go_backward()
    listener_id = store.add_will_finish_transaction_listener(fail)
    with pytest.raises(RuntimeError, match="failed"):
        checkpoints.go_forward()
    assert (age(store), checkpoints.get_checkpoint_ids()) == (1, (["0"], "1", ["2"]))


def test_an_undo_that_a_listener_fails_to_hear_of_has_happened() -> None:
    store, checkpoints = aged(1, 2)

    def fail(*args: Any) -> None:
        raise RuntimeError("failed")

    store.add_tables_listener(fail)
    with pytest.raises(RuntimeError, match="failed"):
        checkpoints.go_backward()
    assert (age(store), checkpoints.get_checkpoint_ids()) == (1, (["0"], "1", ["2"]))
    with pytest.raises(RuntimeError, match="failed"):
        checkpoints.go_forward()
    assert (age(store), checkpoints.get_checkpoint_ids()) == (2, (["0", "1"], "2", []))


def test_nothing_is_undone_where_nothing_may_be_written() -> None:
    store, checkpoints = aged(1, 2)
    store.add_value_listener(None, lambda *args: checkpoints.go_backward())
    store.set_value("open", True)
    assert (age(store), checkpoints.get_checkpoint_ids()) == (2, (["0", "1", "2"], None, []))
    strict = Store(strict=True)
    strict.add_value_listener(None, lambda *args: create_checkpoints(strict).go_backward())
    create_checkpoints(strict)
    with pytest.raises(WriteForbiddenError):
        strict.set_value("open", True)


def test_a_listener_that_changes_the_store_on_the_way_is_not_undone() -> None:
    store, checkpoints = aged(1)
    store.set_cell("pets", "fido", "age", 2)
    checkpoints.add_checkpoint_listener("2", lambda *args: store.set_value("open", True))
    checkpoints.go_backward()
    assert store.get_content() == ({"pets": {"fido": {"age": 2}}}, {"open": True})
    assert checkpoints.get_checkpoint_ids() == (["0", "1", "2"], None, [])


def test_the_oldest_are_dropped_and_told_of() -> None:
    _, checkpoints = aged(1, 2, 3)
    dropped: list[Any] = []
    checkpoints.add_checkpoint_listener(
        None, lambda checkpoints, checkpoint_id: dropped.append(checkpoint_id)
    )
    checkpoints.set_size(1)
    assert dropped == ["0", "1"]
    assert not checkpoints.has_checkpoint("1")
    assert checkpoints.get_checkpoint("1", "gone") == "gone"


def test_destroyed_they_hear_nothing_until_they_are_created_again() -> None:
    store, checkpoints = aged(1)
    checkpoints.destroy()
    store.set_value("open", True)
    assert checkpoints.get_checkpoint_ids().current == "1"
    assert create_checkpoints(store) is checkpoints
    store.set_value("open", False)
    assert checkpoints.get_checkpoint_ids().current is None
