"""What is local: the chassis and its settings, the ports bound to it, the local datapaths."""
