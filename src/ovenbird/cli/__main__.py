"""`python -m ovenbird.cli` is `ovenbird`: how the lab starts our daemons with the interpreter it runs in."""

from ovenbird.cli.main import main

main()
