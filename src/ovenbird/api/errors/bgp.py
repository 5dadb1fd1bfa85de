"""Errors of requests about BGP speakers and peers."""

from __future__ import annotations

from ovenbird.api.errors.base import BadRequest, Conflict, NotFound


class BgpSpeakerNotFound(NotFound):
    """No speaker has this id."""

    message = "BGP speaker {id} could not be found."


class BgpPeerNotFound(NotFound):
    """No peer has this id."""

    message = "BGP peer {id} could not be found."


class BgpPeerNotAuthenticated(NotFound):
    """The peer has no authentication, and so no password."""

    message = "BGP peer {bgp_peer_id} not authenticated."


class BgpSpeakerPeerNotAssociated(NotFound):
    """The speaker does not have the peer."""

    message = "BGP peer {bgp_peer_id} is not associated with BGP speaker {bgp_speaker_id}."


class BgpSpeakerNetworkNotAssociated(NotFound):
    """The speaker does not have the network."""

    message = "Network {network_id} is not associated with BGP speaker {bgp_speaker_id}."


class BgpSpeakerNetworkBindingError(Conflict):
    """The speaker has the network already."""

    message = "Network {network_id} is already bound to BgpSpeaker {bgp_speaker_id}."


class DuplicateBgpPeerIpException(Conflict):
    """The speaker has a peer with this address."""

    message = (
        "BGP Speaker {bgp_speaker_id} is already configured to peer with a BGP Peer at {peer_ip}, it cannot peer with "
        "BGP Peer {bgp_peer_id}."
    )


class InvalidBgpPeerMd5Authentication(BadRequest):
    """MD5 needs a password."""

    message = "A password must be supplied when using auth_type md5."


class BadBgpSpeakerRequest(BadRequest):
    """A request about a speaker does not say what it is about."""

    kind = "BadRequest"
    message = "Bad bgp-speaker request: {reason}."
