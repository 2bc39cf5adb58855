"""Files or arrays -> detected, aligned chips; folder datasets; deterministic degradations."""
