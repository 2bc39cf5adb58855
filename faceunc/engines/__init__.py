"""Backbone and head run as one: by torch, by torch's fused convolutions, by onnxruntime, by OpenVINO."""
