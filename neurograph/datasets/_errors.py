"""What goes wrong with a data set."""


class DataError(ValueError):
    """A data set is not there or cannot be used; the message names file, what was found, the rule and the mend."""
