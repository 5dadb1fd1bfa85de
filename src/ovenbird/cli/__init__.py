"""The command `ovenbird`. Each subcommand is a file, imported only when it is used."""
