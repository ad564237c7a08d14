"""A run as a folder of pages to look at and to listen to, opened from disk or from any static host."""
