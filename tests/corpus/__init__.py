"""`make corpus`: real documents through the real pipeline, and what came of them beside what experts decided."""
