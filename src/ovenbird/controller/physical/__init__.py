"""Between the physical and the logical: tunnels, patch ports, and the tables around the pipelines."""
