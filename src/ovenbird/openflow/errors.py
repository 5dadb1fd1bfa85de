"""Errors of OpenFlow, by their cause.

`EncodeError` is an error of the caller (a value without an encoding), `DecodeError` one of the peer (bytes that are not
OpenFlow); `SwitchError` is the refusal of a request by the switch (OFPT_ERROR); the others concern the connection.
"""

from __future__ import annotations


class OpenFlowError(Exception):
    """Any failure of this package."""


class EncodeError(OpenFlowError, ValueError):
    """A value cannot be encoded: an unknown field, a value outside its field or its mask."""


class DecodeError(OpenFlowError, ValueError):
    """Bytes from the peer violate the protocol."""


class NegotiationError(OpenFlowError):
    """The two sides have no protocol version in common."""


class ConnectionLostError(OpenFlowError):
    """The connection ended before the answer came."""


# Error types of OFPT_ERROR (OpenFlow 1.5.1, section 7.5.4).
_TYPES = {
    0: "hello_failed", 1: "bad_request", 2: "bad_action", 3: "bad_instruction", 4: "bad_match", 5: "flow_mod_failed",
    6: "group_mod_failed", 7: "port_mod_failed", 8: "table_mod_failed", 9: "queue_op_failed",
    10: "switch_config_failed",
    11: "role_request_failed", 12: "meter_mod_failed", 13: "table_features_failed",
    14: "bad_property", 15: "async_config_failed", 16: "flow_monitor_failed", 17: "bundle_failed",
    0xFFFF: "experimenter",
}  # fmt: skip

# The codes that occur in practice; others print as numbers.
_CODES = {
    (0, 0): "incompatible", (0, 1): "eperm",
    (1, 0): "bad_version", (1, 1): "bad_type", (1, 2): "bad_multipart", (1, 3): "bad_experimenter", (1,
    4): "bad_exp_type",
    (1, 5): "eperm", (1, 6): "bad_len", (1, 7): "buffer_empty", (1, 8): "buffer_unknown", (1, 9): "bad_table_id",
    (1, 10): "is_slave", (1, 11): "bad_port", (1, 12): "bad_packet", (1, 13): "multipart_buffer_overflow",
    (2, 0): "bad_type", (2, 1): "bad_len", (2, 2): "bad_experimenter", (2, 3): "bad_exp_type", (2, 4): "bad_out_port",
    (2, 5): "bad_argument", (2, 6): "eperm", (2, 7): "too_many", (2, 8): "bad_queue", (2, 9): "bad_out_group",
    (2, 10): "match_inconsistent", (2, 11): "unsupported_order", (2, 12): "bad_tag", (2, 13): "bad_set_type",
    (2, 14): "bad_set_len", (2, 15): "bad_set_argument",
    (3, 0): "unknown_inst", (3, 1): "unsup_inst", (3, 2): "bad_table_id", (3, 3): "unsup_metadata", (3, 7): "bad_len",
    (4, 0): "bad_type", (4, 1): "bad_len", (4, 2): "bad_tag", (4, 5): "bad_wildcards", (4, 6): "bad_field",
    (4, 7): "bad_value", (4, 8): "bad_mask", (4, 9): "bad_prereq", (4, 10): "dup_field", (4, 11): "eperm",
    (5, 0): "unknown", (5, 1): "table_full", (5, 2): "bad_table_id", (5, 3): "overlap", (5, 4): "eperm",
    (5, 5): "bad_timeout", (5, 6): "bad_command", (5, 7): "bad_flags",
    (6, 0): "group_exists", (6, 1): "invalid_group", (6, 4): "chaining_unsupported", (6, 7): "loop", (6,
    8): "unknown_group",
    (6, 13): "bad_command", (11, 0): "stale",
    (12, 1): "meter_exists", (12, 2): "invalid_meter", (12, 3): "unknown_meter", (12, 5): "bad_rate", (12,
    11): "bad_band",
    (14, 0): "bad_type", (14, 1): "bad_len", (14, 2): "bad_value", (14, 3): "too_many", (14, 4): "dup_type",
    (14, 5): "bad_experimenter", (14, 6): "bad_exp_type", (14, 7): "bad_exp_value", (14, 8): "eperm",
    (17, 0): "unknown", (17, 1): "eperm", (17, 2): "bad_id", (17, 3): "bundle_exist", (17, 4): "bundle_closed",
    (17, 5): "out_of_bundles", (17, 6): "bad_type", (17, 7): "bad_flags", (17, 8): "msg_bad_len",
    (17, 9): "msg_bad_xid", (17, 10): "msg_unsup", (17, 11): "msg_conflict", (17, 12): "msg_too_many",
    (17, 13): "msg_failed", (17, 14): "timeout", (17, 15): "bundle_in_progress",
}  # fmt: skip


def error_name(error_type: int, *, code: int) -> str:
    """Return an error's name as in Open vSwitch's log, such as `bad_match.bad_prereq`; unknown codes stay numbers.

    For experimenter errors (type 0xffff) `code` is the experimenter's type.
    """
    return f"{_TYPES.get(error_type, error_type)}.{_CODES.get((error_type, code), code)}"


class SwitchError(OpenFlowError):
    """The switch refused a request: OFPT_ERROR.

    `error_type` and `code` are those of the message; `data` holds at least the first 64 bytes of request `xid`; `index`
    is the request's place in its bundle, if it was in one.

    Arguments:
        error_type: the type in the message.
        code: the code in the message.
        xid: the transaction id of the refused request.
        data: the request's first bytes.
    """

    def __init__(self, error_type: int, *, code: int, xid: int, data: bytes) -> None:
        super().__init__(f"switch refused request {xid:#x}: {error_name(error_type, code=code)}")
        self.error_type = error_type
        self.code = code
        self.xid = xid
        self.data = data
        self.index: int | None = None
