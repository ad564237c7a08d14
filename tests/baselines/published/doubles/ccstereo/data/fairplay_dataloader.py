"""Test double of how CCStereo makes a batch of samples."""


def collation_fn(samples):
    return [list(values) for values in zip(*samples)]
