"""The errors of the API: one class for each of Neutron's errors, with its status and message.

The class's name is the `type` of the body `{"NeutronError": {"type", "message", "detail"}}`. Each file has the errors
of one kind of resource.
"""
