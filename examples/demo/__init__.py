"""The main job, told in the terminal: two replicas and a server that always end up the same."""
