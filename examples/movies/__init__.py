"""Derived data on 3,201 real films: metrics, an index, a joined and grouped query, undo, all live."""
