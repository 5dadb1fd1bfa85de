"""The exchange of routes between Southbound and the kernel's routing tables (dynamic routing)."""
