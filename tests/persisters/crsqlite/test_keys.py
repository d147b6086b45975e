"""Packed keys: one canonical form each, and nothing else is let through."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.persisters.crsqlite.connection import close_connection, open_connection
from replicell.persisters.crsqlite.keys import InvalidKeyError, SqlValue, pack_key, unpack_key

sql_values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)


@pytest.fixture(scope="module")
def conn() -> Iterator[apsw.Connection]:
    connection = open_connection(":memory:")
    yield connection
    close_connection(connection)


@pytest.mark.parametrize(
    ("values", "packed"),
    [
        ((0,), "0101"),
        ((200,), "0109c8"),
        ((-1,), "0141ffffffffffffffff"),
        (("x",), "010b0178"),
        (("",), "0103"),
        ((1.0,), "01023ff0000000000000"),
        ((None, b"\x01"), "02050c0101"),
    ],
)
def test_a_key_is_packed_byte_by_byte_as_cr_sqlite_does(values: tuple[SqlValue, ...], packed: str) -> None:
    assert pack_key(values).hex() == packed
    assert unpack_key(bytes.fromhex(packed)) == values


@pytest.mark.parametrize("length", [0, 1, 127, 128, 200, 255, 256, 32767, 32768, 40000, 65535, 65536])
def test_texts_and_integers_around_the_byte_boundaries_agree_with_the_extension(
    conn: apsw.Connection, length: int
) -> None:
    for value in ("a" * length, length, -length, b"\0" * length):
        packed = conn.execute("SELECT crsql_pack_columns(?)", (value,)).get
        assert pack_key([value]) == packed
        assert unpack_key(packed) == (value,)
        assert conn.execute("SELECT cell FROM crsql_unpack_columns WHERE package = ?", (packed,)).get == value


@given(st.lists(sql_values, min_size=1, max_size=5))
def test_what_is_packed_is_unpacked_as_it_was(values: list[SqlValue]) -> None:
    assert unpack_key(pack_key(values)) == tuple(values)


@given(st.binary(max_size=40))
def test_any_bytes_are_either_the_canonical_form_of_their_values_or_refused(blob: bytes) -> None:
    try:
        values = unpack_key(blob)
    except InvalidKeyError:
        return
    assert pack_key(values) == blob


@pytest.mark.parametrize(
    ("blob", "rule"),
    [
        (b"", "empty"),
        (b"\x00", "no columns"),
        (b"\x01", "ends too early"),
        (b"\x01\x49" + b"\0" * 20, "unknown"),
        (b"\x01\x4b" + b"\0" * 20, "unknown"),
        (b"\x01\x09\x00", "shortest"),
        (b"\x01\x0b\x05abc", "ends too early"),
        (b"\x01\x0b\x01xy", "left over"),
        (b"\x01\x0b\x01\xff", "UTF-8"),
        (b"\x01\x13\x00\x01x", "shortest"),
        (b"\x01\x0d", "canonical"),
        (b"\x01\x02\x7f\xf8\0\0\0\0\0\0", "NaN"),
        (b"\x02\x0b\x01x", "ends too early"),
        (b"\x01\x06", "unknown"),
    ],
)
def test_a_malformed_key_is_refused_with_the_rule_it_breaks(blob: bytes, rule: str) -> None:
    with pytest.raises(InvalidKeyError, match=rule):
        unpack_key(blob)


def test_only_bytes_are_unpacked() -> None:
    with pytest.raises(InvalidKeyError, match="is bytes, not str"):
        unpack_key("\x01\x0b\x01x")  # type: ignore[arg-type]  # what a careless caller might do


@pytest.mark.parametrize("values", [[], [1] * 256, [2**63], [True], [[1]], ["\ud800"]])
def test_what_sqlite_cannot_hold_is_not_packed(values: list[SqlValue]) -> None:
    with pytest.raises(InvalidKeyError):
        pack_key(values)
