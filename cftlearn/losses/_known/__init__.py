"""Losses of known labels, which skip unknown ones."""
