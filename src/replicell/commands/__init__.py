"""The sub-commands of the ``replicell`` program, one module each."""
