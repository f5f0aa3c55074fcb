"""What a DoFn gives out when a bundle ends: Beam wants the window said then."""

from typing import Any

from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows


def windowed(output: Any) -> Any:
    """Return an output of `finish_bundle`, tagged or not, in the one window there is."""
    if isinstance(output, pvalue.TaggedOutput):
        return pvalue.TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))
    return GlobalWindows.windowed_value(output)
