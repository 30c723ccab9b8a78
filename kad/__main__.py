"""`python -m kad`."""

import sys

from kad.cli.main import main

sys.exit(main())
