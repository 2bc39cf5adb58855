"""Chips -> (feature map, mean): frozen embedding models, each with its spec."""
