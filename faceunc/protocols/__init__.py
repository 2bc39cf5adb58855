"""Evaluation protocols: files or lists of identities -> pairs, templates, folds. They know nothing of models."""
