# Stand-in: the double only opens it.
