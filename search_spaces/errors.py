"""The one error class for input that a user can correct."""


class InputError(ValueError):
    """The user's input was wrong.

    The message is one line that states the rule, what was got and what is
    allowed. The command line prints it as it is and exits with code 2.
    """


class FeatureMapError(RuntimeError):
    """A block passes something that is no feature map of the kind it should."""
