"""A shared list in a window: Tk, which knows nothing of asyncio, and replicell."""
