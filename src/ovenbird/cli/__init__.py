"""The command `ovenbird`: what people type. Each command is a file, imported only when it is called."""
