"""What to do where a package that only some programs need is missing: an extra of rtcore's."""


def install(extra: str) -> str:
    """The command that adds an extra to the rtcore that is installed, from wherever that came.

    For a name that is installed already pip looks nowhere else, and takes the packages from what the installed one says of
    itself. So it is the same from a checkout (``pip install .``), from a wheel, and from an index.
    """
    return f"pip install 'rtcore[{extra}]'"


def missing(what: str, package: str | None, extra: str) -> ModuleNotFoundError:
    """The error for ``what``, which needs a package that is not there."""
    return ModuleNotFoundError(f"{what} needs the package {package}: {install(extra)}", name=package)
