"""The integration bridge over OpenFlow: what is installed follows what the rules yield."""
