"""Networks that are used frozen, each loading its authors' public state dict unchanged.

Every module here takes decoded arrays and a device, is batched, prints nothing, writes nothing and never opens a
connection. Constructors take the published sizes as defaults, so that tests can build the same network small.
"""
