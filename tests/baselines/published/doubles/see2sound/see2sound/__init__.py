"""Test double of the authors' package."""

from see2sound.inference import See2Sound as See2Sound
