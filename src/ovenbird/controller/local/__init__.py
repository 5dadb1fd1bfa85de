"""What is here: the chassis and its settings, the ports bound to it, the datapaths hosted on it."""
