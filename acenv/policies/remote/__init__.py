"""What policies need that ask a server over HTTP: addresses and keys, a client that survives faults, chat requests."""
