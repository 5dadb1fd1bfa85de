"""Errors of requests about QoS policies and their rules."""

from __future__ import annotations

from ovenbird.api.errors.base import Conflict, NeutronError, NotFound


class QosPolicyNotFound(NotFound):
    """No QoS policy has this id."""

    message = "QoS policy {id} could not be found."


class QosRuleNotFound(NotFound):
    """The policy has no rule with this id."""

    message = "QoS rule {id} could not be found."


class QosPolicyInUse(Conflict):
    """Something has the policy."""

    message = "QoS Policy {policy_id} is used by {object_type} {object_id}."


class QoSPolicyDefaultAlreadyExists(Conflict):
    """Another policy is the project's default."""

    message = "A default QoS policy exists for project {project_id}."


class QosRuleNotSupported(Conflict):
    """A port cannot have a rule."""

    message = "Rule {rule_type} is not supported by port {port_id}"


class QosRuleNotSupportedByNetwork(Conflict):
    """The ports of a network cannot have a rule."""

    message = "Rule {rule_type} is not supported by network {network_id}"


class QoSRuleParameterConflict(Conflict):
    """A guarantee would be larger than a limit, or one for both directions stand beside one for a single direction."""

    message = (
        "Unable to add the rule with value {rule_value} to the policy {policy_id} as the existing rule of type "
        "{existing_rule} has value {existing_value}."
    )


class QoSRulesConflict(Conflict):
    """The policy has such a rule."""

    message = "Rule {new_rule_type} conflicts with rule {rule_id} which already exists in QoS Policy {policy_id}."


class PolicyRemoveAuthorizationError(NeutronError):
    """The caller may not see the policy that it wants to take away."""

    status = 403
    message = "Failed to remove provided policy {policy_id} because you are not authorized."


class TrackedInPlacementError(NeutronError):
    """An instance has the guarantee, which Placement has allocated."""

    status = 501
    kind = "NotImplementedError"
    message = "Cannot update QoS policies/rules backed by resources tracked in Placement"
