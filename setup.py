"""List every sub-package of the three layers, so that a new folder cannot be left out of the wheel."""

from setuptools import find_packages, setup

LAYERS = ("store", "persisters", "sync")


def packages() -> list[str]:
    """Return the import names of all packages: the facade and every folder below the layers."""
    below = (
        f"replicell.{name}"
        for layer in LAYERS
        for name in (layer, *(f"{layer}.{sub}" for sub in find_packages(layer)))
    )
    facade = (name for name in find_packages("src") if name.split(".")[1:2] not in [[layer] for layer in LAYERS])
    return [*facade, *below]


setup(packages=packages())
