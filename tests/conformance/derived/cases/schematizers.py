from __future__ import annotations

from tests.conformance.case import Case

__all__ = ["CASES"]

CASES = (
    Case(
        126,
        "Foreign schemas as ours",
        [
            [
                "schematizer.toTablesSchema",
                {
                    "t1": {
                        "properties": {
                            "a": {"type": "string"},
                            "b": {"inner": {"type": "number"}, "optional": True},
                            "c": {"inner": {"type": "boolean"}, "fallback": False},
                            "d": {
                                "inner": {"inner": {"values": ["x", "y"]}, "nullable": True},
                                "optional": True,
                            },
                            "e": {"type": ["string", "array"]},
                        }
                    }
                },
            ],
            [
                "schematizer.toValuesSchema",
                {"v1": {"inner": {"type": "object"}, "fallback": {}}, "v2": {"type": "string"}},
            ],
        ],
    ),
    Case(
        126,
        "What has no counterpart is left out",
        [
            [
                "schematizer.toTablesSchema",
                {
                    "t1": {"properties": {"a": {"type": "date"}, "b": {"type": "string"}}},
                    "t2": {
                        "properties": {"a": {"type": "date"}, "c": {"values": []}, "d": {"values": [None]}}
                    },
                    "t3": {"type": "string"},
                },
            ],
            ["schematizer.toValuesSchema", {"v1": {"type": "date"}}],
            ["schematizer.toTablesSchema", {}],
        ],
    ),
)
