"""What a port consists of: addresses, MAC, bindings; and the ports that the cloud makes for itself."""
