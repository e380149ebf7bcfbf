"""Arguments of a transformers model's forward, made from its signature, its configuration and its first layers."""
