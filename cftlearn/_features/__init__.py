"""Features: stored or in memory, per category, and their principal axes."""
