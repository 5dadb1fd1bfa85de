"""The vocabulary of logical networks: stages, registers, flows, traits, features and the Southbound tables they fill.

Nothing here decides what a network does; that is for ``features``, which are written in these words.
"""
