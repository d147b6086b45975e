"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# Hypothesis fails examples that take longer than 0.2 s, which on a busy machine says nothing about them.
settings.register_profile("unhurried", parent=settings.default, deadline=None)
settings.load_profile("unhurried")
