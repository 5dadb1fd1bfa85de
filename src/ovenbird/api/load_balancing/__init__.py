"""The load balancing API, Octavia's v2, as far as its `ovn` provider has it: the resources.

They are created, changed and deleted by one transaction on Cloud, as those of the network API are; a load balancer with
all its listeners, pools, members and health monitors is one transaction, too. So there is nothing that waits:
`provisioning_status` is ACTIVE, and `operating_status` is computed from what the chassis report (`status`).

`service` is what the resources have in common. `http/load_balancing` routes the requests.
"""
