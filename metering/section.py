"""What every section of the configuration has in common."""

import pydantic


class Section(pydantic.BaseModel):
    """Fields of one section: no others, never changed, finite."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
