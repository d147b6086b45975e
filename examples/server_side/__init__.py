"""Servers with code of their own in the rooms."""
