"""Programs that a benchmark runs by their paths; they import nothing of it."""
