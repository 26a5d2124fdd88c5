"""Who may call, and whom this server may call."""
