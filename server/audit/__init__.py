"""Who saw what of which patient, and when: written before the answer leaves, told as AuditEvent."""
