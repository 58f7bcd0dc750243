"""The one error of this package."""


class InputError(Exception):
    """Something that was given cannot be used; one line says what, where, and what was expected."""
