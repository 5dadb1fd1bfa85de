"""What runs engines beside databases: waves become transactions, refusals cost the rows at fault."""
