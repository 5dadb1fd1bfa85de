"""Listening sockets with limits on connections, in total and from one source; independent of protocols."""
