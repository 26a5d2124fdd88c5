"""Where this payer answers, as Endpoint resources."""
