"""Tests of `replicell.store.frames`."""
