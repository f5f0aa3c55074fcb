"""What is wrong with a definition, in the words that Aodh's clients know."""


class DefinitionError(ValueError):
    """A definition that cannot be taken: what to tell the caller, and the HTTP status it goes with."""

    def __init__(self, faultstring: str, status: int = 400) -> None:
        super().__init__(faultstring)
        self.faultstring = faultstring
        self.status = status


def bad_value(field: str, value: object, reason: str) -> DefinitionError:
    """Return the error for a field whose value cannot be taken."""
    return DefinitionError(
        f"Invalid input for field/attribute {field}. Value: '{value}'. {reason}".rstrip()
    )
