"""What the model does not know: dropout on frozen backbones, ensembles of heads, and how uncertainty is decomposed."""
