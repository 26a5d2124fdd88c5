"""A payer-side Da Vinci reference server for MRI prior authorization."""
