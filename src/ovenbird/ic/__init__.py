"""Interconnection of OVN deployments, as by ovn-ic(8): gateways, ports and routes that availability zones exchange."""
