"""`python -m ovenbird.cli` is `ovenbird`: the lab starts daemons this way, with its own interpreter."""

from ovenbird.cli.main import main

main()
