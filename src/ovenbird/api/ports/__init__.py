"""Parts of ports (addresses, MACs, bindings), and ports that belong to the cloud itself."""
