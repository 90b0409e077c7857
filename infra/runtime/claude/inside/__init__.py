"""What runs inside the sandbox for a model's tools: the standard library alone, started with ``-I -S``."""
