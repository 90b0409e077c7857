"""Inference over an OpenAPI document: pure functions, each decision with its evidence and its alternatives."""
