"""The integration bridge over OpenFlow: the installed flows follow the facts of the rules."""
