"""Tables whose rows are counted against quotas."""

from __future__ import annotations

from ovenbird.dataclass import KW_ONLY, dataclass

NETWORK, LOAD_BALANCER = "network", "load-balancer"
"""The service types of the APIs that show quotas (the catalogue of Keystone)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A table with a quota: the number of rows of a project is limited.

    Arguments:
        member: the resource's name in quotas.
        default: the default limit, which is Neutron's or Octavia's.
        words: the plural for messages.
        service: the service type of the API that shows the quota.
    """

    member: str
    default: int
    words: str
    _: KW_ONLY
    service: str = NETWORK
