"""The features of logical switches, one in each file (ovn-northd(8), "Logical Switch Datapaths")."""
