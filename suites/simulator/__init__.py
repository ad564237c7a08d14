"""Scenes with known geometry: rooms heard through a measured head, matching pictures, and the truth about both."""
