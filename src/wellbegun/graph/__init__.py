"""Tracing a PyTorch model: operations, and the role and fans of every parameter's use."""
