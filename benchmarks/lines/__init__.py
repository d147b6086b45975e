"""The lines of the figures, a module a section."""
