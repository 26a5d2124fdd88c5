"""The CQL operators, one module per chapter of the ELM logical specification."""
