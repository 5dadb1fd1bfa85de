"""Errors of requests about security groups and their rules."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class SecurityGroupNotFound(NotFound):
    """No security group has this id."""

    message = "Security group {id} does not exist"


class SecurityGroupConflict(Conflict):
    """The security groups cannot be combined."""

    message = "Error {reason} while attempting the operation."


class SecurityGroupInUse(Conflict):
    """Ports are members of the group."""

    message = "Security Group {id} in use."


class SecurityGroupCannotRemoveDefault(Conflict):
    """The default group cannot be deleted, since ports without a group are in it."""

    message = "Insufficient rights for removing default security group."


class SecurityGroupCannotUpdateDefault(Conflict):
    """The default group keeps its name."""

    message = "Updating default security group not allowed."


class SecurityGroupDefaultAlreadyExists(Conflict):
    """A project has one default group."""

    message = "Default security group already exists."


class SecurityGroupRuleNotFound(NotFound):
    """No rule has this id."""

    message = "Security group rule {id} does not exist"


class SecurityGroupRuleExists(Conflict):
    """The group has an equal rule already."""

    message = "Security group rule already exists. Rule id is {id}."


class DuplicateSecurityGroupRuleInPost(Conflict):
    """The request has two equal rules."""

    message = "Duplicate Security Group Rule in POST."


class InvalidCIDR(BadRequest):
    """The value is neither a prefix nor an address."""

    message = "Invalid CIDR {input} given as IP prefix."


class SecurityGroupRuleInvalidEtherType(BadRequest):
    """The value is neither IPv4 nor IPv6."""

    message = "Security group rule for ethertype '{ethertype}' not supported. Allowed values are ['IPv4', 'IPv6']."


class SecurityGroupRuleInvalidProtocol(BadRequest):
    """The value is not an IP protocol."""

    message = (
        "Security group rule protocol {protocol} not supported. Only protocol values {values} and integer "
        "representations [0 to 255] are supported."
    )


class SecurityGroupEthertypeConflictWithProtocol(BadRequest):
    """The protocol belongs to the other IP version."""

    message = "Invalid ethertype {ethertype} for protocol {protocol}."


class SecurityGroupProtocolRequiredWithPorts(BadRequest):
    """A port range needs a protocol."""

    message = "Must also specify protocol if port range is given."


class SecurityGroupInvalidProtocolForPort(BadRequest):
    """The protocol has no ports."""

    message = "Invalid protocol {protocol} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP."


class SecurityGroupInvalidPortRange(BadRequest):
    """The port range is reversed or incomplete."""

    message = "For TCP/UDP protocols, port_range_min must be <= port_range_max"


class SecurityGroupInvalidPortValue(BadRequest):
    """The value is not a port."""

    message = "Invalid value for port {port}"


class SecurityGroupInvalidIcmpValue(BadRequest):
    """The value is not an ICMP type or code."""

    message = "Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255."


class SecurityGroupMissingIcmpType(BadRequest):
    """An ICMP code needs a type."""

    message = "ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing."


class SecurityGroupMultipleRemoteEntites(BadRequest):
    """A rule can have only one of the remote attributes."""

    message = "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided."


class SecurityGroupRuleParameterConflict(BadRequest):
    """The prefix belongs to the other IP version."""

    message = "Conflicting value ethertype {ethertype} for CIDR {cidr}"


class DefaultSecurityGroupRuleNotFound(NotFound):
    """No template has this id."""

    message = "Default Security Group rule {id} does not exist"


class DefaultSecurityGroupRuleExists(Conflict):
    """An equal template is there already."""

    message = "Default Security group rule already exists. Rule id is {rule_id}."


class DuplicateDefaultSgRuleInPost(Conflict):
    """The request has two equal templates."""

    message = "Duplicate Default Security Group Rule in POST."


class SecurityGroupDefaultStatefulnessNotFound(NotFound):
    """No setting has this id."""

    message = "Security group default statefulness {id} could not be found."


class SecurityGroupDefaultStatefulnessAlreadyExists(Conflict):
    """The project has such a setting already."""

    message = "A security group default statefulness setting already exists for project '{project_id}'."
