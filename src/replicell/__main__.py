"""Lets ``python -m replicell`` do what the ``replicell`` command does."""

import sys

from replicell.cli import main

sys.exit(main())
