"""`make evals`: what a model makes of real APIs, what it costs, and how near it comes to what experts decided."""
