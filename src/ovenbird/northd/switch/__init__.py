"""What logical switches can do, one feature a file (ovn-northd(8), "Logical Switch Datapaths")."""
