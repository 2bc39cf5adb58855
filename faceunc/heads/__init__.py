"""Variance heads: feature map -> log_var. Small, trainable; the backbone below stays frozen."""
