"""Programs a newcomer runs; they use replicell through its public names only."""
