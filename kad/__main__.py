"""`python -m kad`."""

import sys

from kad.cli import main

sys.exit(main())
