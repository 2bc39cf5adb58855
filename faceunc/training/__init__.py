"""Feature cache, identity-balanced sampler, the loop, cross-fitting by identity, the collapse check."""
