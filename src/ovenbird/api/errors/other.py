"""Errors of requests about agents, availability zones, address groups, findings and tags."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class AgentNotFound(NotFound):
    """No agent has this id."""

    message = "Agent {id} could not be found."


class AvailabilityZoneNotFound(NotFound):
    """No chassis is in the zone."""

    message = "AvailabilityZone {availability_zone} could not be found."


class AddressGroupNotFound(NotFound):
    """No address group has this id."""

    message = "Address group {id} could not be found."


class AddressGroupInUse(Conflict):
    """Security group rules name the group."""

    message = "Address group {id} is in use on one or more security group rules."


class AddressesNotFound(NotFound):
    """The group does not have the addresses."""

    message = "Addresses {addresses} not found in the address group {address_group_id}."


class AddressesAlreadyExist(BadRequest):
    """The group has the addresses."""

    message = "Addresses {addresses} already exist in the address group {address_group_id}."


class FindingNotFound(NotFound):
    """No finding has this id; its cause may have gone."""

    message = "Finding {id} could not be found."


class TagNotFound(NotFound):
    """The resource has no such tag."""

    message = "Tag {tag} could not be found."


class InvalidL3Agent(NotFound):
    """No agent that can host gateways has this id."""

    message = "Agent {id} is not a L3 Agent or has been disabled"


class RouterHostedByL3Agent(Conflict):
    """The chassis hosts the router already."""

    message = "The router {router_id} has been already hosted by the L3 Agent {agent_id}."


class RouterNotHostedByL3Agent(Conflict):
    """The chassis does not host the router."""

    message = "The router {router_id} is not hosted by the L3 Agent {agent_id}."


class InvalidHAChassisPriority(BadRequest):
    """The priority is none."""

    message = "HA Chassis priority must be between 0 and 32767"


class HAChassisPriorityAlreadyAssigned(Conflict):
    """Another chassis has the priority."""

    message = "HA Chassis priority {ha_chassis_priority} is already assigned"
