"""What logical routers can do, one feature a file (ovn-northd(8), "Logical Router Datapaths")."""
