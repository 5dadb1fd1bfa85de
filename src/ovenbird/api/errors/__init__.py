"""What the API answers when it refuses: one class for each of Neutron's errors, with its status and its words.

The class's name is the `type` of the body `{"NeutronError": {"type", "message", "detail"}}`. Each file has the errors
of one kind of resource.
"""
