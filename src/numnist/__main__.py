"""`python -m numnist`."""

import sys

from numnist.cli import main

sys.exit(main())
