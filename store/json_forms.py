"""A store's content and schemas as JSON text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Self

from replicell.store.cells import content_json, json_text, parse_json
from replicell.store.changes import EncodedRow
from replicell.store.missing import MISSING
from replicell.store.schemas import schema_of
from replicell.store.writing import Writing

__all__ = ["JsonForms"]


class JsonForms(Writing):
    """The methods of a store that write and read JSON text.

    Objects and arrays in cells stand in it as they are held, as strings of U+FFFD and their own JSON text, so
    that they come back unchanged.
    """

    __slots__ = ()

    def get_json(self) -> str:
        """Return all content as ``[tables, values]``. Mirrors TinyBase's ``getJson``.

        >>> Store().set_cell("pets", "fido", "sold", True).get_json()
        '[{"pets":{"fido":{"sold":true}}},{}]'
        """
        self._check_thread()
        return content_json([self._tables, self._values], chain(self._rows(), (self._values,)))

    def get_tables_json(self) -> str:
        """Return the tables as JSON. Mirrors TinyBase's ``getTablesJson``.

        >>> Store().set_cell("pets", "fido", "sold", True).get_tables_json()
        '{"pets":{"fido":{"sold":true}}}'
        """
        self._check_thread()
        return content_json(self._tables, self._rows())

    def get_values_json(self) -> str:
        """Return the values as JSON. Mirrors TinyBase's ``getValuesJson``.

        >>> Store().set_value("open", True).get_values_json()
        '{"open":true}'
        """
        self._check_thread()
        return content_json(self._values, (self._values,))

    def set_json(self, text: str) -> Self:
        """Replace all content by that of a JSON text. Mirrors TinyBase's ``setJson``.

        Args:
            text: ``[tables, values]``, where an empty object deletes its half and a missing values half is
                left alone; or tables only. Text that is neither is ignored.

        >>> Store().set_json('[{"pets":{"fido":{"sold":true}}},{}]').get_tables()
        {'pets': {'fido': {'sold': True}}}
        """
        content = self._parse(text)
        if isinstance(content, (list, str)):
            content = list(content)
            return self._write(lambda: self._accepting_encoded(lambda: self._write_content(content)))
        return self._write(lambda: self.set_tables_json(text))

    def set_tables_json(self, text: str) -> Self:
        """Replace the tables by those of a JSON text, if it is one. Mirrors TinyBase's ``setTablesJson``.

        >>> Store().set_tables_json('{"pets":{"fido":{"sold":true}}}').get_tables()
        {'pets': {'fido': {'sold': True}}}
        """
        tables = self._parse(text)
        if tables is MISSING:
            return self
        return self._accepting_encoded(lambda: self._write(lambda: self._replace_tables(tables)))

    def set_values_json(self, text: str) -> Self:
        """Replace the values by those of a JSON text, if it is one. Mirrors TinyBase's ``setValuesJson``.

        >>> Store().set_values_json('{"open":true}').get_values()
        {'open': True}
        """
        values = self._parse(text)
        if values is MISSING:
            return self
        return self._accepting_encoded(lambda: self._write(lambda: self._replace_values(values)))

    def get_schema_json(self) -> str:
        """Return both schemas as ``[tables_schema, values_schema]``. Mirrors TinyBase's ``getSchemaJson``.

        >>> Store().set_values_schema({"open": {"type": "boolean"}}).get_schema_json()
        '[{},{"open":{"type":"boolean"}}]'
        """
        return json_text([self._tables_schema(), self._values_schema()])

    def get_tables_schema_json(self) -> str:
        """Return the tables schema, defaults decoded. Mirrors TinyBase's ``getTablesSchemaJson``.

        >>> Store().set_tables_schema({"pets": {"sold": {"type": "boolean"}}}).get_tables_schema_json()
        '{"pets":{"sold":{"type":"boolean"}}}'
        """
        return json_text(self._tables_schema())

    def get_values_schema_json(self) -> str:
        """Return the values schema, defaults decoded. Mirrors TinyBase's ``getValuesSchemaJson``.

        >>> Store().set_values_schema({"open": {"type": "boolean"}}).get_values_schema_json()
        '{"open":{"type":"boolean"}}'
        """
        return json_text(self._values_schema())

    def _rows(self) -> Iterator[EncodedRow]:
        return chain.from_iterable([table.values() for table in self._tables.values()])

    def _tables_schema(self) -> dict[str, Any]:
        self._check_thread()
        return {table_id: schema_of(rules) for table_id, rules in (self._tables_rules or {}).items()}

    def _values_schema(self) -> dict[str, Any]:
        self._check_thread()
        return {} if self._values_rules is None else schema_of(self._values_rules)

    def _parse(self, text: str) -> Any:
        """Parse JSON text; anything else is MISSING, or refused by a strict store."""
        try:
            return parse_json(text)
        except (ValueError, TypeError) as error:
            self._check_thread()
            self._refuse_content("JSON", text, f"it must be JSON text ({error})")
            return MISSING
