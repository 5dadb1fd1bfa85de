"""The features of logical routers, one in each file (ovn-northd(8), "Logical Router Datapaths")."""
