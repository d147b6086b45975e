"""Tests of `replicell.store.typed`."""
